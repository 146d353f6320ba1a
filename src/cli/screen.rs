//! Looks at the X display: what is on the screen, as a picture in which a code may be found.
//!
//! The display's server is a peer like any other: what it says about sizes is bounded and checked
//! before memory is taken or pixels are read. Depends on [`image`](super::image) for its bounds.

use image::RgbImage;
use x11rb::connection::Connection as _;
use x11rb::errors::{ConnectError, ReplyError};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, ImageOrder, Screen as Root};
use x11rb::rust_connection::RustConnection;

use super::image::MAX_PIXELS;

/// Bytes that are asked for at once.
const BAND: u32 = 4 << 20;

/// Why the screen cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScreenError {
    /// Nothing says where a display is.
    #[error("there is no X display here")]
    NoDisplay,
    /// The display cannot be reached, or does not let this user in.
    #[error("cannot connect to the X display")]
    Connect(#[source] ConnectError),
    /// The display does not show itself.
    #[error("the X display does not let itself be looked at")]
    Capture(#[source] ReplyError),
    /// It does not answer in time.
    #[error("the X display does not answer")]
    Silent,
    /// One colour all over.
    #[error("the X display shows nothing")]
    Blank,
    /// Larger than any screen.
    #[error("the X display has more than {} megapixels", MAX_PIXELS >> 20)]
    TooManyPixels,
    /// Pixels that are no mixture of red, green and blue, or not as announced.
    #[error("the X display's pixels are of a kind that is not supported")]
    Pixels,
}

/// An open display. Its calls block.
#[derive(Debug)]
pub struct Screen {
    connection: RustConnection,
    number: usize,
}

/// How the display writes a pixel.
#[derive(Clone, Copy)]
struct Layout {
    bytes: usize,
    /// A line is a multiple of this.
    pad: usize,
    order: ImageOrder,
    masks: [u32; 3],
}

impl Screen {
    /// Opens a display such as `:0`, or the one that the environment names as `DISPLAY`.
    ///
    /// # Errors
    ///
    /// See [`ScreenError`].
    pub fn open(display: Option<&str>) -> Result<Self, ScreenError> {
        let named = std::env::var_os("DISPLAY").is_some_and(|name| !name.is_empty());
        if display.is_none() && !named {
            return Err(ScreenError::NoDisplay);
        }
        let opened = RustConnection::connect(display).map_err(ScreenError::Connect);
        let (connection, number) = opened?;
        Ok(Self { connection, number })
    }

    /// Takes a picture of all that is shown.
    ///
    /// # Errors
    ///
    /// See [`ScreenError`].
    pub fn capture(&self) -> Result<RgbImage, ScreenError> {
        let setup = self.connection.setup();
        let root = setup.roots.get(self.number).ok_or(ScreenError::Pixels)?;
        let layout = self.layout(root)?;
        // Not the size of the set-up, which is the one at the time of connecting.
        let now = self.connection.get_geometry(root.root).map_err(ReplyError::from);
        let now = now.and_then(|asked| asked.reply()).map_err(ScreenError::Capture)?;
        let (width, height) = (u32::from(now.width), u32::from(now.height));
        if u64::from(width) * u64::from(height) > MAX_PIXELS || width * height == 0 {
            return Err(ScreenError::TooManyPixels);
        }
        let mut colours = Vec::with_capacity((width * height * 3) as usize);
        let rows = (BAND / (width * 4)).max(1);
        for top in (0..height).step_by(rows as usize) {
            let rows = rows.min(height - top);
            let pixels = self.band(root.root, now.width, top, rows)?;
            layout.append(&pixels, width as usize, rows as usize, &mut colours)?;
        }
        RgbImage::from_raw(width, height, colours).ok_or(ScreenError::Pixels)
    }

    fn band(&self, root: u32, width: u16, top: u32, rows: u32) -> Result<Vec<u8>, ScreenError> {
        // Both come from a height of 16 bits.
        let (top, rows) = (top as i16, rows as u16);
        let all = u32::MAX;
        let asked =
            self.connection.get_image(ImageFormat::Z_PIXMAP, root, 0, top, width, rows, all);
        let reply = asked.map_err(ReplyError::from).and_then(|asked| asked.reply());
        Ok(reply.map_err(ScreenError::Capture)?.data)
    }

    fn layout(&self, root: &Root) -> Result<Layout, ScreenError> {
        let setup = self.connection.setup();
        let mut formats = setup.pixmap_formats.iter();
        let format = formats.find(|format| format.depth == root.root_depth);
        let mut visuals = root.allowed_depths.iter().flat_map(|depth| &depth.visuals);
        let visual = visuals.find(|visual| visual.visual_id == root.root_visual);
        let (Some(format), Some(visual)) = (format, visual) else {
            return Err(ScreenError::Pixels);
        };
        let masks = [visual.red_mask, visual.green_mask, visual.blue_mask];
        let layout = Layout {
            bytes: usize::from(format.bits_per_pixel / 8),
            pad: usize::from(format.scanline_pad / 8),
            order: setup.image_byte_order,
            masks,
        };
        let fits = matches!(format.bits_per_pixel, 16 | 24 | 32) && layout.pad > 0;
        if fits && !masks.contains(&0) { Ok(layout) } else { Err(ScreenError::Pixels) }
    }
}

impl Layout {
    fn append(
        self,
        pixels: &[u8],
        width: usize,
        rows: usize,
        colours: &mut Vec<u8>,
    ) -> Result<(), ScreenError> {
        let line = (width * self.bytes).next_multiple_of(self.pad);
        if pixels.len() < line * rows {
            return Err(ScreenError::Pixels);
        }
        for line in pixels.chunks_exact(line).take(rows) {
            let pixels = line.chunks_exact(self.bytes).take(width);
            colours.extend(pixels.flat_map(|pixel| self.colours(pixel)));
        }
        Ok(())
    }

    fn colours(self, pixel: &[u8]) -> [u8; 3] {
        let add = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        let value = match self.order {
            ImageOrder::MSB_FIRST => pixel.iter().fold(0, add),
            _ => pixel.iter().rev().fold(0, add),
        };
        self.masks.map(|mask| channel(value, mask))
    }
}

/// One colour of a pixel, from 0 to 255 whatever its width.
fn channel(value: u32, mask: u32) -> u8 {
    let shift = mask.trailing_zeros();
    let (value, most) = (u64::from((value & mask) >> shift), u64::from(mask >> shift));
    u8::try_from(value * 255 / most.max(1)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RGB: [u32; 3] = [0xff_0000, 0xff00, 0xff];

    fn read(layout: Layout, pixels: &[u8], width: usize, rows: usize) -> Option<Vec<u8>> {
        let mut colours = Vec::new();
        layout.append(pixels, width, rows, &mut colours).ok().map(|()| colours)
    }

    #[test]
    fn pixels_of_four_bytes_in_both_orders() {
        let layout = Layout { bytes: 4, pad: 4, order: ImageOrder::LSB_FIRST, masks: RGB };
        let white_red = [255, 255, 255, 0, 0, 0, 255, 9];
        assert_eq!(read(layout, &white_red, 2, 1).unwrap(), [255, 255, 255, 255, 0, 0]);
        let layout = Layout { order: ImageOrder::MSB_FIRST, ..layout };
        let red_blue = [9, 255, 0, 0, 0, 0, 0, 255];
        assert_eq!(read(layout, &red_blue, 1, 2).unwrap(), [255, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn narrow_pixels_and_padded_lines() {
        let masks = [0xf800, 0x07e0, 0x001f];
        let layout = Layout { bytes: 2, pad: 4, order: ImageOrder::LSB_FIRST, masks };
        let lines = [0xe0, 0xff, 1, 2, 0x00, 0x00, 3, 4];
        assert_eq!(read(layout, &lines, 1, 2).unwrap(), [255, 255, 0, 0, 0, 0]);
        let layout = Layout { bytes: 3, pad: 4, masks: RGB, ..layout };
        assert_eq!(read(layout, &[1, 2, 3, 7], 1, 1).unwrap(), [3, 2, 1]);
    }

    #[test]
    fn a_picture_that_is_too_short_is_refused() {
        let layout = Layout { bytes: 4, pad: 4, order: ImageOrder::LSB_FIRST, masks: RGB };
        assert!(read(layout, &[0; 15], 2, 2).is_none());
        assert!(read(layout, &[], 1, 1).is_none());
    }
}
