//! Pictures as people make them, and pictures as nobody should.

use ::image::{ImageFormat, Luma, Rgba, RgbaImage};
use qrcode::{Color, EcLevel, QrCode};

use super::*;

fn fido(digits: usize) -> String {
    let digits = (1..=digits as u64).map(|n| {
        let digit = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 10;
        char::from_digit(digit as u32, 10).unwrap()
    });
    "FIDO:/".chars().chain(digits).collect()
}

/// A plain symbol with a quiet zone.
fn code(text: &str, scale: u32) -> GrayImage {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
    let (width, modules) = (code.width() as u32, code.into_colors());
    let side = (width + 8) * scale;
    GrayImage::from_fn(side, side, |x, y| {
        let (x, y) = ((x / scale).wrapping_sub(4), (y / scale).wrapping_sub(4));
        let inside = x < width && y < width;
        let dark = inside && modules[(y * width + x) as usize] == Color::Dark;
        Luma([if dark { 0 } else { 255 }])
    })
}

/// Chromium's look: level M or better, round dots, rounded finders, a disc over the middle.
fn dotted(text: &str, scale: u32, level: EcLevel) -> GrayImage {
    let code = QrCode::with_error_correction_level(text, level).unwrap();
    let (width, modules) = (code.width() as u32, code.into_colors());
    let side = (width + 8) * scale;
    let middle = f64::from(side) / 2.0;
    let disc = f64::from(width * scale) * 0.12;
    let finder = |x: u32, y: u32| {
        let low = |n: u32| n < 7;
        let high = |n: u32| n >= width - 7;
        (low(x) && low(y)) || (high(x) && low(y)) || (low(x) && high(y))
    };
    GrayImage::from_fn(side, side, |px, py| {
        let distance = (f64::from(px) - middle).hypot(f64::from(py) - middle);
        if distance < disc {
            return Luma([if distance > disc * 0.85 { 255 } else { 60 }]);
        }
        let (x, y) = ((px / scale).wrapping_sub(4), (py / scale).wrapping_sub(4));
        if x >= width || y >= width || modules[(y * width + x) as usize] == Color::Light {
            return Luma([255]);
        }
        let centre = f64::from(scale - 1) / 2.0;
        let (dx, dy) = (f64::from(px % scale) - centre, f64::from(py % scale) - centre);
        let dot = dx.hypot(dy) <= f64::from(scale) * 0.45;
        Luma([if dot || finder(x, y) { 0 } else { 255 }])
    })
}

/// The same on a page with other things around it.
fn on_a_page(pictures: &[&GrayImage], background: u8) -> GrayImage {
    let width = pictures.iter().map(|p| p.width() + 60).sum::<u32>() + 60;
    let height = pictures.iter().map(|p| p.height()).max().unwrap() + 160;
    let mut page = GrayImage::from_fn(width, height, |x, y| {
        // Something like lines of text at the top.
        let ink = y % 16 < 8 && y < 64 && (x * 7 + y * 13) % 11 < 5 && x < width / 2;
        Luma([if ink { 255 - background } else { background }])
    });
    let mut x = 60;
    for picture in pictures {
        imageops::replace(&mut page, *picture, x, 100);
        x += i64::from(picture.width()) + 60;
    }
    page
}

fn encoded(picture: &GrayImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn read_png(picture: &GrayImage) -> Result<String, ImageError> {
    read(&encoded(picture, ImageFormat::Png))
}

#[test]
fn every_format_is_read() {
    let text = fido(168);
    let page = on_a_page(&[&code(&text, 5)], 255);
    let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm];
    for format in formats {
        assert_eq!(read(&encoded(&page, format)).unwrap(), text, "{format:?}");
    }
    // WebP is written in colour only.
    let mut webp = Cursor::new(Vec::new());
    let rgb = DynamicImage::ImageLuma8(page).into_rgb8();
    rgb.write_to(&mut webp, ImageFormat::WebP).unwrap();
    assert_eq!(read(webp.get_ref()).unwrap(), text);
}

#[test]
fn chromiums_dots_with_a_logo_are_read() {
    let text = fido(168);
    for scale in [4, 5, 7, 10] {
        let picture = on_a_page(&[&dotted(&text, scale, EcLevel::M)], 240);
        assert_eq!(read_png(&picture).unwrap(), text, "scale {scale}");
    }
}

#[test]
fn dark_pages_inverted_codes_and_odd_sizes_are_read() {
    let text = fido(174);
    let plain = code(&text, 6);
    assert_eq!(read_png(&on_a_page(&[&plain], 20)).unwrap(), text);
    let mut negative = plain.clone();
    imageops::invert(&mut negative);
    assert_eq!(read_png(&on_a_page(&[&negative], 0)).unwrap(), text);
    for scale in [1, 2, 3, 40] {
        assert_eq!(read_png(&code(&text, scale)).unwrap(), text, "scale {scale}");
    }
    let skewed = imageops::resize(&plain, 301, 277, imageops::FilterType::Triangle);
    assert_eq!(read_png(&skewed).unwrap(), text);
    assert_eq!(read_png(&imageops::rotate90(&plain)).unwrap(), text);
}

#[test]
fn a_transparent_background_is_white() {
    let text = fido(168);
    let gray = code(&text, 5);
    let transparent = RgbaImage::from_fn(gray.width(), gray.height(), |x, y| {
        let light = gray.get_pixel(x, y).0 == [255];
        Rgba([0, 0, 0, if light { 0 } else { 255 }])
    });
    let mut file = Cursor::new(Vec::new());
    transparent.write_to(&mut file, ImageFormat::Png).unwrap();
    assert_eq!(read(file.get_ref()).unwrap(), text);
}

#[test]
fn of_several_codes_the_fido_one_is_taken() {
    let text = fido(168);
    let (other, ours) = (code("https://example.com/some/page", 5), code(&text, 4));
    for page in [[&other, &ours, &other], [&ours, &other, &other], [&other, &other, &ours]] {
        assert_eq!(read_png(&on_a_page(&page, 255)).unwrap(), text);
    }
}

#[test]
fn two_codes_for_passkeys_are_refused_unless_they_are_the_same() {
    let (one, other) = (code(&fido(168), 5), code(&fido(174), 5));
    let several = read_png(&on_a_page(&[&one, &other], 255)).unwrap_err();
    assert!(matches!(several, ImageError::Several), "{several:?}");
    assert_eq!(read_png(&on_a_page(&[&one, &one], 255)).unwrap(), fido(168));
}

#[test]
fn each_failure_has_its_own_error() {
    let other = read_png(&code("https://example.com/", 5)).unwrap_err();
    assert!(matches!(other, ImageError::NotFido), "{other:?}");
    let nothing = read_png(&GrayImage::from_pixel(300, 200, Luma([200]))).unwrap_err();
    assert!(matches!(nothing, ImageError::NoQrCode), "{nothing:?}");
    for junk in [&b""[..], b"FIDO:/123", &[0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0]] {
        assert!(matches!(read(junk), Err(ImageError::NotAPicture(_))), "{junk:?}");
    }
    let whole = encoded(&code(&fido(168), 5), ImageFormat::Png);
    assert!(matches!(read(&whole[..whole.len() / 2]), Err(ImageError::NotAPicture(_))));
    let missing = read_file(Path::new("/no/such/picture.png"));
    assert!(matches!(missing, Err(ImageError::Read(_))));
}

#[test]
fn sizes_are_bounded_before_anything_is_decoded() {
    // A few bytes that claim 60,000 by 60,000 pixels.
    let huge = read(b"P5 60000 60000 255\n\0").unwrap_err();
    assert!(matches!(huge, ImageError::TooManyPixels), "{huge:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.png");
    std::fs::File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
    assert!(matches!(read_file(&path), Err(ImageError::FileTooLarge)));
}

#[test]
fn noise_is_no_code_and_no_crash() {
    let mut state = 1_u32;
    for side in [1, 2, 3, 7, 21, 64, 257] {
        let noise = GrayImage::from_fn(side, side, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Luma([if state >> 30 == 0 { 0 } else { 255 }])
        });
        assert!(read_png(&noise).is_err());
    }
}

/// A camera in a dark room.
fn noisy(picture: &GrayImage, amount: i32) -> GrayImage {
    let mut state = 1_u32;
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 16) as i32 % (2 * amount + 1) - amount;
        let [luma] = picture.get_pixel(x, y).0;
        Luma([(i32::from(luma) + noise).clamp(0, 255) as u8])
    })
}

#[test]
fn noise_is_averaged_away_at_every_size() {
    let text = fido(168);
    for scale in [10, 20, 48] {
        assert_eq!(read_png(&noisy(&code(&text, scale), 170)).unwrap(), text, "scale {scale}");
    }
}

#[test]
fn tiny_blurred_and_slanted_codes_are_read() {
    let text = fido(168);
    let plain = code(&text, 10);
    let tiny = imageops::resize(&plain, 50, 50, imageops::FilterType::Triangle);
    assert_eq!(read_png(&on_a_page(&[&tiny], 255)).unwrap(), text);
    assert_eq!(read_png(&imageops::blur(&plain, 3.0)).unwrap(), text);
    let slanted = GrayImage::from_fn(700, 700, |x, y| {
        let (x, y) = (x as f32 - 350.0, y as f32 - 350.0);
        let depth = 1.0 + 0.25 * y / 350.0;
        let (x, y) = (x * depth + 0.3 * y + 205.0, y * depth + 205.0);
        let inside = (0.0..410.0).contains(&x) && (0.0..410.0).contains(&y);
        if inside { *plain.get_pixel(x as u32, y as u32) } else { Luma([230]) }
    });
    assert_eq!(read_png(&slanted).unwrap(), text);
}
