//! Finds a `FIDO:/` QR code in a picture: a photo, a screenshot, a file from `--qr png:`.
//!
//! Pictures come from anywhere, so sizes are bounded before anything is decoded, and what a code
//! says is given to nobody unless it is a `FIDO:/` text. Depends on nothing else of this crate.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageReader, Limits, imageops};
use rxing::common::HybridBinarizer;
use rxing::multi::MultipleBarcodeReader;
use rxing::qrcode::{QRCodeReader, cpp_port::QrReader};
use rxing::{BinaryBitmap, DecodeHints, Luma8LuminanceSource, Reader};

/// Bytes of a file that is read at all.
pub const MAX_FILE: u64 = 100 << 20;
/// Pixels of a picture that is decoded.
pub const MAX_PIXELS: u64 = 64 << 20;
/// The shorter side of a picture in which a code of 33 modules can still be seen.
const SMALLEST: u32 = 66;
/// The shorter side of a picture that is magnified; codes in larger ones are large enough.
const LARGE: u32 = 600;
/// What a text must begin with, in whatever case.
const SCHEME: &str = "FIDO:/";

/// Why no `FIDO:/` text came out of a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot read the picture")]
    Read(#[from] io::Error),
    /// The file is too large to be a screenshot.
    #[error("the picture's file is larger than {} MB", MAX_FILE >> 20)]
    FileTooLarge,
    /// The picture is too large to be a screenshot.
    #[error("the picture has more than {} megapixels", MAX_PIXELS >> 20)]
    TooManyPixels,
    /// Not a picture, or one of a format that is not built in, or a broken one.
    #[error("the file is not a PNG, JPEG, WebP, BMP or PNM picture that can be read")]
    NotAPicture(#[source] image::ImageError),
    /// No QR code was found.
    #[error("no QR code was found in the picture")]
    NoQrCode,
    /// QR codes were found, but of something else.
    #[error("the QR code in the picture is not for passkeys, it does not begin with FIDO:/")]
    NotFido,
    /// Two codes for passkeys that differ: taking either would be a guess.
    #[error("there are several different codes for passkeys in the picture")]
    Several,
}

/// Reads the `FIDO:/` QR code in a picture file.
///
/// # Errors
///
/// See [`ImageError`].
pub fn read_file(path: &Path) -> Result<String, ImageError> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large, also where its size is a lie.
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ImageError::FileTooLarge);
    }
    read(&bytes)
}

/// Reads the `FIDO:/` QR code in the bytes of a picture file.
///
/// # Errors
///
/// See [`ImageError`].
pub fn read(bytes: &[u8]) -> Result<String, ImageError> {
    find(&decode(bytes)?)
}

/// Finds the `FIDO:/` QR code in a picture.
///
/// # Errors
///
/// [`ImageError::NoQrCode`], [`ImageError::NotFido`] or [`ImageError::Several`].
pub fn find(picture: &GrayImage) -> Result<String, ImageError> {
    let mut found = false;
    for attempt in ATTEMPTS {
        let Some(picture) = attempt(picture) else { continue };
        let mut texts = texts(picture);
        found |= !texts.is_empty();
        texts.retain(|text| is_fido(text));
        texts.sort_unstable();
        texts.dedup();
        match texts.pop() {
            Some(text) if texts.is_empty() => return Ok(text),
            Some(_) => return Err(ImageError::Several),
            None => {}
        }
    }
    Err(if found { ImageError::NotFido } else { ImageError::NoQrCode })
}

fn decode(bytes: &[u8]) -> Result<GrayImage, ImageError> {
    let reader = || -> Result<_, ImageError> {
        Ok(ImageReader::new(Cursor::new(bytes)).with_guessed_format()?)
    };
    let (width, height) = reader()?.into_dimensions().map_err(ImageError::NotAPicture)?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::TooManyPixels);
    }
    let mut reader = reader()?;
    let mut limits = Limits::default();
    // 16 bytes are the widest pixel there is.
    limits.max_alloc = Some(MAX_PIXELS * 16);
    reader.limits(limits);
    Ok(flatten(reader.decode().map_err(ImageError::NotAPicture)?))
}

/// Gray, on white where the picture is transparent: codes are often saved without a background.
fn flatten(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let pixels = picture.into_luma_alpha8();
    GrayImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [luma, alpha] = pixels.get_pixel(x, y).0.map(u16::from);
        let blended = (luma * alpha + 255 * (255 - alpha)) / 255;
        image::Luma([u8::try_from(blended).unwrap_or(u8::MAX)])
    })
}

/// One way to look at a picture; `None` where it would show nothing new.
type Attempt = fn(&GrayImage) -> Option<GrayImage>;

const ATTEMPTS: [Attempt; 5] = [
    |picture| Some(picture.clone()),
    inverted,
    larger,
    |picture| smaller(picture, 3),
    |picture| smaller(picture, 8),
];

/// Light on dark.
fn inverted(picture: &GrayImage) -> Option<GrayImage> {
    let mut picture = picture.clone();
    imageops::invert(&mut picture);
    Some(picture)
}

/// Averages squares of pixels, which evens out the noise of a camera in a dark room.
fn smaller(picture: &GrayImage, factor: u32) -> Option<GrayImage> {
    let (width, height) = (picture.width() / factor, picture.height() / factor);
    let resized = || imageops::thumbnail(picture, width, height);
    (width.min(height) >= SMALLEST).then(resized)
}

/// Gives each module of a tiny code enough pixels.
fn larger(picture: &GrayImage) -> Option<GrayImage> {
    let (width, height) = picture.dimensions();
    let resized = || {
        let (width, height) = (width * 3, height * 3);
        imageops::resize(picture, width, height, imageops::FilterType::CatmullRom)
    };
    (width.min(height) < LARGE && width.max(height) < 2 * LARGE).then(resized)
}

/// The texts of all QR codes that the newer of the library's readers finds, and of the one that the
/// older finds: the order in which the library itself asks them.
fn texts(picture: GrayImage) -> Vec<String> {
    let (width, height) = picture.dimensions();
    let Ok(source) = Luma8LuminanceSource::new(picture.into_raw(), width, height) else {
        return Vec::new();
    };
    let mut bitmap = BinaryBitmap::new(HybridBinarizer::new(source));
    let hints = DecodeHints { TryHarder: Some(true), ..DecodeHints::default() };
    let several = QrReader.decode_multiple_with_hints(&mut bitmap, &hints).unwrap_or_default();
    let one = QRCodeReader.decode_with_hints(&mut bitmap, &hints);
    several.iter().chain(&one).map(|result| result.getText().to_owned()).collect()
}

fn is_fido(text: &str) -> bool {
    text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

#[cfg(test)]
mod tests;
