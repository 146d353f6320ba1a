//! Frames of cameras in shades of grey, which is all that a code is made of. Pure.

use ::image::{GrayImage, ImageFormat};

/// Pixels on a side: no camera has more, and a driver that says otherwise is wrong.
const MAX_SIDE: u32 = 1 << 14;

/// How the pixels lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Grey alone, a byte each.
    Grey,
    /// All of the grey in front, the colours after it.
    GreyFirst([u8; 4]),
    /// Grey and colour in turn, grey first.
    GreyColour,
    /// Grey and colour in turn, colour first.
    ColourGrey,
    /// A JPEG file.
    Jpeg([u8; 4]),
}

/// What is understood, the least work first.
const LAYOUTS: [Layout; 8] = [
    Layout::Grey,
    Layout::GreyFirst(*b"NV12"),
    Layout::GreyFirst(*b"NV21"),
    Layout::GreyFirst(*b"YU12"),
    Layout::GreyColour,
    Layout::ColourGrey,
    Layout::Jpeg(*b"MJPG"),
    Layout::Jpeg(*b"JPEG"),
];

impl Layout {
    /// Its name in Video4Linux.
    pub(super) fn fourcc(self) -> [u8; 4] {
        match self {
            Self::Grey => *b"GREY",
            Self::GreyColour => *b"YUYV",
            Self::ColourGrey => *b"UYVY",
            Self::GreyFirst(name) | Self::Jpeg(name) => name,
        }
    }

    /// The one of this name.
    pub(super) fn of(fourcc: [u8; 4]) -> Option<Self> {
        LAYOUTS.into_iter().find(|layout| layout.fourcc() == fourcc)
    }

    /// The best of those that are offered.
    pub(super) fn best(offered: &[[u8; 4]]) -> Option<Self> {
        LAYOUTS.into_iter().find(|layout| offered.contains(&layout.fourcc()))
    }
}

/// What a camera gives, again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    layout: Layout,
    width: u32,
    height: u32,
    /// Bytes from one line to the next.
    stride: usize,
}

impl Frame {
    /// `None` if no picture is like that.
    pub(super) fn new(layout: Layout, width: u32, height: u32, stride: u32) -> Option<Self> {
        let sane = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
        if !sane {
            return None;
        }
        let tight = match layout {
            Layout::Grey | Layout::GreyFirst(_) => width,
            Layout::GreyColour | Layout::ColourGrey => width * 2,
            Layout::Jpeg(_) => 0,
        };
        let stride = usize::try_from(stride.max(tight)).ok()?;
        Some(Self { layout, width, height, stride })
    }

    /// The picture; `None` if bytes are missing.
    pub(super) fn grey(&self, bytes: &[u8]) -> Option<GrayImage> {
        let width = usize::try_from(self.width).ok()?;
        let height = usize::try_from(self.height).ok()?;
        let lines = || bytes.chunks(self.stride).take(height);
        let grey: Vec<u8> = match self.layout {
            Layout::Jpeg(_) => {
                let picture =
                    ::image::load_from_memory_with_format(bytes, ImageFormat::Jpeg).ok()?;
                return Some(picture.into_luma8());
            }
            Layout::Grey | Layout::GreyFirst(_) => {
                lines().flat_map(|line| line.iter().take(width)).copied().collect()
            }
            Layout::GreyColour => {
                lines().flat_map(|line| line.iter().step_by(2).take(width)).copied().collect()
            }
            Layout::ColourGrey => lines()
                .flat_map(|line| line.iter().skip(1).step_by(2).take(width))
                .copied()
                .collect(),
        };
        GrayImage::from_raw(self.width, self.height, grey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{image, qr};

    const TEXT: &str = "FIDO:/0123456789";

    /// A code as a camera sees it: paddings between the lines, colours that say nothing.
    fn seen(layout: Layout) -> (Frame, Vec<u8>) {
        let picture = ::image::load_from_memory(&qr::png(TEXT).unwrap()).unwrap();
        let picture = picture.into_luma8();
        let (width, height) = picture.dimensions();
        let line = |line: &[u8]| -> Vec<u8> {
            let mut bytes: Vec<u8> = match layout {
                Layout::GreyColour => line.iter().flat_map(|grey| [*grey, 7]).collect(),
                Layout::ColourGrey => line.iter().flat_map(|grey| [7, *grey]).collect(),
                _ => line.to_vec(),
            };
            bytes.extend([99; 6]);
            bytes
        };
        let lines: Vec<_> = picture.as_raw().chunks(width as usize).map(line).collect();
        let stride = u32::try_from(lines[0].len()).unwrap();
        let mut bytes = lines.concat();
        if matches!(layout, Layout::GreyFirst(_)) {
            bytes.extend(vec![128; bytes.len() / 2]);
        }
        if matches!(layout, Layout::Jpeg(_)) {
            let mut file = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut file, ImageFormat::Jpeg).unwrap();
            bytes = file.into_inner();
        }
        (Frame::new(layout, width, height, stride).unwrap(), bytes)
    }

    #[test]
    fn a_code_is_read_in_each_layout() {
        for layout in LAYOUTS {
            let (frame, bytes) = seen(layout);
            let grey = frame.grey(&bytes).unwrap();
            assert_eq!(image::find(&grey).unwrap(), TEXT, "{layout:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_absurd_is_no_picture() {
        for layout in LAYOUTS {
            let (frame, bytes) = seen(layout);
            // Of a JPEG file the beginning makes a picture, too, but its head alone does not.
            let short = if matches!(layout, Layout::Jpeg(_)) { 20 } else { bytes.len() / 4 };
            assert!(frame.grey(&bytes[..short]).is_none(), "{layout:?}");
            assert!(frame.grey(&[]).is_none());
            assert!(Frame::new(layout, 0, 1, 1).is_none());
            assert!(Frame::new(layout, 1, MAX_SIDE + 1, 1).is_none());
            assert!(Frame::new(layout, u32::MAX, 1, u32::MAX).is_none());
        }
    }

    #[test]
    fn the_least_work_is_chosen() {
        assert_eq!(Layout::best(&[*b"MJPG", *b"YUYV"]), Some(Layout::GreyColour));
        assert_eq!(Layout::best(&[*b"H264", *b"JPEG"]), Some(Layout::Jpeg(*b"JPEG")));
        assert_eq!(Layout::best(&[*b"H264"]), None);
        assert!(LAYOUTS.iter().all(|layout| Layout::of(layout.fourcc()) == Some(*layout)));
    }
}
