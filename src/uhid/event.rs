//! The structures of `/dev/uhid`, as bytes: fixed places, the machine's byte order.
//!
//! Depends on nothing of this crate. Kernel: `include/uapi/linux/uhid.h`.

/// Bytes of a report, either direction.
pub const REPORT_LEN: usize = 64;

/// One report, without a report number.
pub type Report = [u8; REPORT_LEN];

/// Bytes of the kernel's largest event, and a few more.
pub(super) const EVENT_LEN: usize = 4400;

const DESTROY: u32 = 1;
const OPEN: u32 = 4;
const CLOSE: u32 = 5;
const OUTPUT: u32 = 6;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;

/// Room that the kernel has for the data of one report and of the descriptor.
const DATA_LEN: usize = 4096;
const BUS_USB: u16 = 0x03;
/// Assigned to nobody: no vendor's, so that no driver takes it for a product that it knows.
const VENDOR: u32 = 0xf1d0;
const PRODUCT: u32 = 0xcab1;
/// EIO.
const NO_SUCH_REPORT: u16 = 5;

/// Usage page FIDO, one report of 64 bytes in and one out. CTAP 2.2, section 11.2.8.2.
#[rustfmt::skip]
const DESCRIPTOR: [u8; 34] = [
    0x06, 0xd0, 0xf1, // usage page: FIDO alliance
    0x09, 0x01,       // usage: CTAPHID
    0xa1, 0x01,       // collection: application
    0x09, 0x20,       //   usage: data in
    0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, REPORT_LEN as u8,
    0x81, 0x02,       //   input
    0x09, 0x21,       //   usage: data out
    0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, REPORT_LEN as u8,
    0x91, 0x02,       //   output
    0xc0,
];

/// Something that happened to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A first program opened it.
    Opened,
    /// The last program closed it.
    Closed,
    /// A program sent a report.
    Report(Report),
}

/// What an event of the kernel asks of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Event(Event),
    /// It waits for this, which says that there is no such report.
    Answer(Vec<u8>),
    Nothing,
}

/// Reads one event.
pub(super) fn read(bytes: &[u8]) -> Heard {
    let Some((kind, body)) = bytes.split_first_chunk() else { return Heard::Nothing };
    match u32::from_ne_bytes(*kind) {
        OPEN => Heard::Event(Event::Opened),
        CLOSE => Heard::Event(Event::Closed),
        OUTPUT => report(body).map_or(Heard::Nothing, |report| Heard::Event(Event::Report(report))),
        GET_REPORT => refusal(GET_REPORT_REPLY, body, &[0, 0]),
        SET_REPORT => refusal(SET_REPORT_REPLY, body, &[]),
        _ => Heard::Nothing,
    }
}

/// The data, which hidraw gives with the report number 0 in front of it.
fn report(body: &[u8]) -> Option<Report> {
    let (data, rest) = body.split_at_checked(DATA_LEN)?;
    let size = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
    let data = data.get(..size)?;
    let data = if size == REPORT_LEN + 1 { data.strip_prefix(&[0])? } else { data };
    data.try_into().ok()
}

fn refusal(kind: u32, body: &[u8], rest: &[u8]) -> Heard {
    let Some(id) = body.first_chunk::<4>() else { return Heard::Nothing };
    let error = NO_SUCH_REPORT.to_ne_bytes();
    Heard::Answer([&kind.to_ne_bytes()[..], id, &error, rest].concat())
}

/// A key of that name; of a name longer than 127 bytes only so much.
pub(super) fn create(name: &str) -> Vec<u8> {
    let text = |text: &str, len: usize| {
        let mut field: Vec<u8> = text.bytes().take(len - 1).collect();
        field.resize(len, 0);
        field
    };
    let mut event = CREATE2.to_ne_bytes().to_vec();
    event.extend([text(name, 128), text("cabled", 64), text("", 64)].concat());
    event.extend((DESCRIPTOR.len() as u16).to_ne_bytes());
    event.extend(BUS_USB.to_ne_bytes());
    // Vendor, product, version, country.
    event.extend([VENDOR, PRODUCT, 1, 0].iter().flat_map(|number| number.to_ne_bytes()));
    event.extend(DESCRIPTOR);
    event.resize(4 + 276 + DATA_LEN, 0);
    event
}

/// A report for the programs.
pub(super) fn input(report: &Report) -> Vec<u8> {
    let size = (REPORT_LEN as u16).to_ne_bytes();
    [&INPUT2.to_ne_bytes()[..], &size, report].concat()
}

/// Takes the device away.
pub(super) fn destroy() -> [u8; 4] {
    DESTROY.to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(data: &[u8], size: u16) -> Vec<u8> {
        let mut event = OUTPUT.to_ne_bytes().to_vec();
        event.extend(data);
        event.resize(4 + DATA_LEN, 0);
        event.extend(size.to_ne_bytes());
        event.push(1);
        event
    }

    #[test]
    fn a_report_comes_with_and_without_its_number() {
        let numbered = [&[0][..], &[7; 64]].concat();
        let report = Heard::Event(Event::Report([7; 64]));
        assert_eq!(read(&output(&numbered, 65)), report);
        assert_eq!(read(&output(&[7; 64], 64)), report);
        for (data, size) in [(&[7; 65][..], 65), (&[7; 64], 63), (&[7; 64], 4097), (&[], 0)] {
            assert_eq!(read(&output(data, size)), Heard::Nothing, "{size}");
        }
    }

    #[test]
    fn what_the_kernel_waits_for_is_refused() {
        let event = [&GET_REPORT.to_ne_bytes()[..], &[1, 2, 3, 4, 0, 0]].concat();
        let answer = [&GET_REPORT_REPLY.to_ne_bytes()[..], &[1, 2, 3, 4]].concat();
        let answer = [answer, NO_SUCH_REPORT.to_ne_bytes().to_vec(), vec![0, 0]].concat();
        assert_eq!(read(&event), Heard::Answer(answer));
    }

    #[test]
    fn short_and_unknown_events_are_nothing() {
        let whole = output(&[7; 64], 64);
        for len in 0..whole.len() - 1 {
            assert_eq!(read(&whole[..len]), Heard::Nothing, "{len}");
        }
        assert_eq!(read(&99u32.to_ne_bytes()), Heard::Nothing);
        assert_eq!(read(&OPEN.to_ne_bytes()), Heard::Event(Event::Opened));
        assert_eq!(read(&CLOSE.to_ne_bytes()), Heard::Event(Event::Closed));
    }

    #[test]
    fn the_device_is_described_as_the_kernel_wants_it() {
        let event = create(&"x".repeat(200));
        assert_eq!(event.len(), 4376);
        assert_eq!((event[4 + 126], event[4 + 127]), (b'x', 0));
        assert_eq!(event[4 + 256..4 + 260], [34u16.to_ne_bytes(), 3u16.to_ne_bytes()].concat());
        assert_eq!(event[4 + 276..4 + 279], DESCRIPTOR[..3]);
        assert_eq!(input(&[9; 64]).len(), 4 + 2 + 64);
    }
}
