//! What is drawn is read again by another library, from files and from the terminal's cells.

use ::image::{GrayImage, Luma};
use qrcode::optimize::{Optimizer, Parser, Segment};
use qrcode::types::{Mode, Version};

use super::*;
use crate::cli::image as reader;

/// Digits that look random and never form long runs.
fn fido(digits: usize) -> String {
    let digits = (1..=digits as u64).map(|n| {
        let digit = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 10;
        char::from_digit(digit as u32, 10).unwrap()
    });
    "FIDO:/".chars().chain(digits).collect()
}

/// What a dark-themed terminal shows: light characters on black until a colour is set.
struct Screen {
    rows: Vec<Vec<(char, bool, bool)>>,
}

impl Screen {
    /// `(character, foreground is dark, background is dark)` per cell.
    fn new(text: &str) -> Self {
        let mut rows = Vec::new();
        for line in text.lines() {
            let (mut row, mut rest) = (Vec::new(), line);
            let (mut fg_dark, mut bg_dark) = (false, true);
            while let Some(c) = rest.chars().next() {
                let Some(code) = rest.strip_prefix("\x1b[") else {
                    row.push((c, fg_dark, bg_dark));
                    rest = &rest[c.len_utf8()..];
                    continue;
                };
                let end = code.find('m').unwrap();
                match &code[..end] {
                    "0" => (fg_dark, bg_dark) = (false, true),
                    "30;47" | "38;5;16;48;5;231" => (fg_dark, bg_dark) = (true, false),
                    "30;40" | "38;5;16;48;5;16" => (fg_dark, bg_dark) = (true, true),
                    other => panic!("unexpected colours {other}"),
                }
                rest = &code[end + 1..];
            }
            assert_eq!((fg_dark, bg_dark), (false, true), "a line ends without a reset");
            rows.push(row);
        }
        Self { rows }
    }

    fn size(&self) -> (usize, usize) {
        let columns = self.rows[0].len();
        assert!(self.rows.iter().all(|row| row.len() == columns));
        (columns, self.rows.len())
    }

    /// Cells of 8 by 16 pixels, on a black desktop.
    fn pixels(&self) -> GrayImage {
        let (columns, rows) = self.size();
        let (width, height) = ((columns as u32 + 10) * 8, (rows as u32 + 4) * 16);
        GrayImage::from_fn(width, height, |x, y| {
            let (cell_x, cell_y) = ((x / 8).checked_sub(5), (y / 16).checked_sub(2));
            let row = cell_y.and_then(|y| self.rows.get(y as usize));
            let cell = cell_x.and_then(|x| row?.get(x as usize));
            let dark = cell.is_none_or(|(c, fg, bg)| match c {
                ' ' => *bg,
                '\u{2580}' => {
                    if y % 16 < 8 {
                        *fg
                    } else {
                        *bg
                    }
                }
                '\u{2584}' => {
                    if y % 16 < 8 {
                        *bg
                    } else {
                        *fg
                    }
                }
                '\u{2588}' => *fg,
                other => panic!("unexpected character {other:?}"),
            });
            Luma([if dark { 0 } else { 255 }])
        })
    }
}

fn read_pixels(pixels: &GrayImage) -> String {
    let mut file = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut file, ::image::ImageFormat::Png).unwrap();
    reader::read(file.get_ref()).unwrap()
}

#[test]
fn styles_are_named_as_on_the_command_line() {
    assert_eq!("terminal".parse(), Ok(QrStyle::Terminal));
    assert_eq!("url".parse(), Ok(QrStyle::Url));
    assert_eq!("none".parse(), Ok(QrStyle::None));
    assert_eq!("png:a:b.png".parse(), Ok(QrStyle::Png("a:b.png".into())));
    assert_eq!("svg:/tmp/q".parse(), Ok(QrStyle::Svg("/tmp/q".into())));
    for wrong in ["", "png", "png:", "svg:", "PNG:x", "jpeg:x", "terminal:x"] {
        assert_eq!(wrong.parse::<QrStyle>(), Err(UnknownStyle), "{wrong}");
    }
}

#[test]
fn the_prefix_is_alphanumeric_and_the_rest_numeric() {
    let text = fido(168);
    let segments = Optimizer::new(Parser::new(text.as_bytes()), Version::Normal(4));
    let expected = [
        Segment { mode: Mode::Alphanumeric, begin: 0, end: 6 },
        Segment { mode: Mode::Numeric, begin: 6, end: 174 },
    ];
    assert_eq!(segments.collect::<Vec<_>>(), expected);
}

#[test]
fn half_blocks_fit_a_small_terminal_and_are_read() {
    for (digits, size) in [(168, (41, 21)), (174, (41, 21)), (175, (45, 23)), (190, (45, 23))] {
        let text = fido(digits);
        let screen = Screen::new(&terminal(&text, Glyphs::HalfBlocks).unwrap());
        assert_eq!(screen.size(), size, "{digits} digits");
        assert_eq!(read_pixels(&screen.pixels()), text);
    }
}

#[test]
fn spaces_need_no_unicode_and_are_read() {
    let text = fido(168);
    let drawn = terminal(&text, Glyphs::Spaces).unwrap();
    assert!(drawn.is_ascii());
    let screen = Screen::new(&drawn);
    assert_eq!(screen.size(), (82, 41));
    assert_eq!(read_pixels(&screen.pixels()), text);
}

#[test]
fn the_quiet_zone_is_white_on_all_sides() {
    let screen = Screen::new(&terminal(&fido(168), Glyphs::HalfBlocks).unwrap());
    let (columns, rows) = screen.size();
    let white = (' ', true, false);
    for (y, row) in screen.rows.iter().enumerate() {
        for (x, cell) in row.iter().enumerate() {
            let quiet = x < 4 || x >= columns - 4 || y < 2 || y >= rows - 2;
            assert!(!quiet || *cell == white, "{x} {y} {cell:?}");
        }
    }
}

#[test]
fn png_and_svg_files_are_read_and_private() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let text = fido(190);
    let path = folder.path().join("code.png");
    show(&text, &QrStyle::Png(path.clone()), Glyphs::HalfBlocks, &mut Vec::new()).unwrap();
    assert_eq!(reader::read_file(&path).unwrap(), text);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let path = folder.path().join("code.svg");
    show(&text, &QrStyle::Svg(path.clone()), Glyphs::HalfBlocks, &mut Vec::new()).unwrap();
    let svg = std::fs::read_to_string(&path).unwrap();
    assert_eq!(read_pixels(&rasterise(&svg)), text);

    let missing = QrStyle::Png(folder.path().join("no/such/folder.png"));
    let error = show(&text, &missing, Glyphs::HalfBlocks, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, QrError::File { .. }));
}

/// Just enough of SVG: unit squares of one path on a white ground.
fn rasterise(svg: &str) -> GrayImage {
    let side: u32 =
        svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let mut pixels = GrayImage::from_pixel(side * 4, side * 4, Luma([255]));
    let path = svg.split("<path d=\"").nth(1).unwrap().split('"').next().unwrap();
    for square in path.split("h1v1h-1z").filter(|square| !square.is_empty()) {
        let (x, y) = square.strip_prefix('M').unwrap().split_once(' ').unwrap();
        let (x, y): (u32, u32) = (x.parse().unwrap(), y.parse().unwrap());
        for (dx, dy) in (0..4).flat_map(|dy| (0..4).map(move |dx| (dx, dy))) {
            pixels.put_pixel(x * 4 + dx, y * 4 + dy, Luma([0]));
        }
    }
    pixels
}

#[test]
fn url_stands_alone_and_none_is_silent() {
    let mut out = Vec::new();
    show("FIDO:/123", &QrStyle::Url, Glyphs::HalfBlocks, &mut out).unwrap();
    show("FIDO:/123", &QrStyle::None, Glyphs::HalfBlocks, &mut out).unwrap();
    assert_eq!(out, b"FIDO:/123\n");
}

#[test]
fn what_is_too_long_is_an_error() {
    let text = fido(8000);
    assert!(matches!(terminal(&text, Glyphs::HalfBlocks), Err(QrError::TooLong(_))));
}

#[test]
fn the_locale_decides_about_glyphs() {
    let glyphs = |pairs: &[(&str, &str)]| {
        let find =
            |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Glyphs::from_locale(find)
    };
    assert_eq!(glyphs(&[("LANG", "de_DE.UTF-8")]), Glyphs::HalfBlocks);
    assert_eq!(glyphs(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]), Glyphs::HalfBlocks);
    assert_eq!(glyphs(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]), Glyphs::Spaces);
    assert_eq!(glyphs(&[("LANG", "de_DE.ISO-8859-1")]), Glyphs::Spaces);
    assert_eq!(glyphs(&[]), Glyphs::Spaces);
}
