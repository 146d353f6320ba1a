//! The camera itself. Depends on the sibling `frame` and on linuxvideo, which is used nowhere else.

use std::io;
use std::path::{Path, PathBuf};

use ::image::GrayImage;
use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device};

use super::frame::{Frame, Layout};

/// The size that is asked for: enough for a code that fills a third of the picture. Cameras give what
/// they have.
const SIZE: (u32, u32) = (1280, 720);

/// What cannot be seen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CameraError {
    /// No camera, or none whose pictures are understood.
    #[error("there is no camera")]
    None,
    /// A device that is named is no camera, or its pictures are not understood.
    #[error("{} is no camera that can be used", .0.display())]
    Unsuitable(PathBuf),
    /// It cannot be opened.
    #[error("the camera {} cannot be opened", .0.display())]
    Open(PathBuf, #[source] io::Error),
    /// It gives no pictures, or not any more.
    #[error("the camera {} gives no pictures", .0.display())]
    Broken(PathBuf, #[source] io::Error),
}

/// A camera that is on, until it is dropped.
pub(crate) struct Camera {
    path: PathBuf,
    stream: ReadStream,
    frame: Frame,
}

impl Camera {
    /// The one that is named, or the first that can be used. Blocks.
    ///
    /// # Errors
    ///
    /// See [`CameraError`].
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, CameraError> {
        if let Some(path) = named {
            return Self::start(path);
        }
        let mut last = CameraError::None;
        for path in devices() {
            match Self::start(&path) {
                Ok(camera) => return Ok(camera),
                // Cameras have more devices than those that give pictures.
                Err(CameraError::Unsuitable(_)) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn start(path: &Path) -> Result<Self, CameraError> {
        let unsuitable = || CameraError::Unsuitable(path.to_owned());
        let broken = |error| CameraError::Broken(path.to_owned(), error);
        let device = Device::open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTTY | libc::EINVAL) => unsuitable(),
            _ => CameraError::Open(path.to_owned(), error),
        })?;
        let offered = device.formats(BufType::VIDEO_CAPTURE).filter_map(Result::ok);
        let offered: Vec<_> = offered.map(|format| format.pixel_format().as_fourcc()).collect();
        let layout = Layout::best(&offered).ok_or_else(unsuitable)?;
        let wanted = PixFormat::new(SIZE.0, SIZE.1, PixelFormat::from_fourcc(layout.fourcc()));
        let capture = device.video_capture(wanted).map_err(broken)?;
        let given = capture.format();
        // A driver may give something else than was asked for.
        let layout = Layout::of(given.pixel_format().as_fourcc()).ok_or_else(unsuitable)?;
        let (width, height) = (given.width(), given.height());
        let frame =
            Frame::new(layout, width, height, given.bytes_per_line()).ok_or_else(unsuitable)?;
        let stream = capture.into_stream().map_err(broken)?;
        Ok(Self { path: path.to_owned(), stream, frame })
    }

    /// What it sees, once there is a new picture. Does not block for long; a picture that came across
    /// damaged is none.
    ///
    /// # Errors
    ///
    /// [`CameraError::Broken`].
    pub(crate) fn look(&mut self) -> Result<Option<GrayImage>, CameraError> {
        let frame = self.frame;
        let look = |stream: &mut ReadStream| match stream.will_block()? {
            true => Ok(None),
            false => stream.dequeue(|view| match view.is_error() {
                true => Ok(None),
                false => Ok(frame.grey(&view)),
            }),
        };
        look(&mut self.stream).map_err(|error| CameraError::Broken(self.path.clone(), error))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// `/dev/video*`, in the order of their numbers.
fn devices() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let number = |path: &PathBuf| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut numbered: Vec<_> = paths.filter_map(|path| Some((number(&path)?, path))).collect();
    numbered.sort_unstable();
    numbered.into_iter().map(|(_, path)| path).collect()
}
