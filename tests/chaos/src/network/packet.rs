use std::net::SocketAddrV4;

/// Bytes of an IPv4 header without options.
const IP_HEADER: usize = 20;
/// Bytes of a TCP header without options.
const TCP_HEADER: usize = 20;
const TCP: u8 = 6;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const SYN: u8 = 0x02;

/// Returns the last bytes of the addresses an IPv4 packet comes from and goes to; `None` for any
/// other packet.
pub(super) fn ends(packet: &[u8]) -> Option<(u8, u8)> {
    let header = packet.get(..IP_HEADER)?;
    (header[0] >> 4 == 4).then(|| (header[15], header[19]))
}

/// The relevant fields of a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddrV4,
    pub(super) to: SocketAddrV4,
    flags: u8,
    /// Position of its payload in the stream.
    sequence: u32,
    /// The next byte that its sender expects in the other direction.
    acknowledged: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Returns the segment in this packet; `None` if it is none.
    pub(super) fn of(packet: &'a [u8]) -> Option<Self> {
        ends(packet)?;
        let header_length = usize::from(packet[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let tcp = packet.get(header_length..total)?;
        if packet[9] != TCP || tcp.len() < TCP_HEADER {
            return None;
        }
        let number = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
        let end = |address: &[u8], port: &[u8]| {
            let address = [address[0], address[1], address[2], address[3]];
            SocketAddrV4::new(address.into(), u16::from_be_bytes([port[0], port[1]]))
        };
        Some(Self {
            from: end(&packet[12..16], &tcp[0..2]),
            to: end(&packet[16..20], &tcp[2..4]),
            flags: tcp[13],
            sequence: number(4),
            acknowledged: number(8),
            payload: tcp.get(usize::from(tcp[12] >> 4) * 4..)?,
        })
    }

    /// Returns `true` if the segment opens a connection.
    pub(super) fn opens(&self) -> bool {
        self.flags & SYN != 0 && self.flags & ACK == 0
    }

    /// Returns two packets that reset the connection: the first for this segment's receiver, the
    /// second for its sender.
    pub(super) fn resets(&self) -> [Vec<u8>; 2] {
        [
            reset(self.from, self.to, self.sequence, self.acknowledged),
            reset(self.to, self.from, self.acknowledged, self.sequence),
        ]
    }
}

fn reset(from: SocketAddrV4, to: SocketAddrV4, sequence: u32, acknowledged: u32) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(TCP_HEADER);
    tcp.extend(from.port().to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    // The header's length in words, flags, no window, a checksum to come, no urgent data.
    tcp.extend([5 << 4, RST | ACK, 0, 0, 0, 0, 0, 0]);
    let ends = [from.ip().octets(), to.ip().octets()].concat();
    let pseudo = [&ends[..], &[0, TCP, 0, 20], &tcp].concat();
    tcp[16..18].copy_from_slice(&checksum(&pseudo).to_be_bytes());

    // Version and length, no service, 40 bytes, no identity, not to be cut up, 64 hops, a checksum
    // to come.
    let mut ip = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, TCP, 0, 0];
    ip.extend(ends);
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend(tcp);
    ip
}

/// Returns the checksum of RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks_exact(2)
        .map(|word| u16::from_be_bytes([word[0], word[1]]));
    let sum = words.fold(0_u32, |sum, word| {
        let sum = sum + u32::from(word);
        (sum & 0xffff) + (sum >> 16)
    });
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a segment with this payload.
    pub(in super::super) fn segment(from: &str, to: &str, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = reset(from.parse().unwrap(), to.parse().unwrap(), 7, 9);
        packet[IP_HEADER + 13] = flags;
        packet.extend(payload);
        let total = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet
    }

    pub(in super::super) const DATA: u8 = ACK;
    pub(in super::super) const OPENING: u8 = SYN;

    #[test]
    fn a_segment_is_read() {
        let packet = segment("10.77.0.11:7001", "10.77.0.31:40000", DATA, b"hello");
        assert_eq!(ends(&packet), Some((11, 31)));
        let read = Segment::of(&packet).unwrap();
        assert_eq!(read.from, "10.77.0.11:7001".parse().unwrap());
        assert_eq!(read.to, "10.77.0.31:40000".parse().unwrap());
        assert_eq!((read.sequence, read.acknowledged), (7, 9));
        assert_eq!(read.payload, b"hello");
        assert!(!read.opens());
        let opening = segment("10.77.0.31:40000", "10.77.0.11:7001", OPENING, b"");
        assert!(Segment::of(&opening).unwrap().opens());
    }

    #[test]
    fn what_is_no_segment_is_not_read() {
        let whole = segment("10.77.0.11:7001", "10.77.0.31:40000", DATA, b"hello");
        for length in 0..whole.len() {
            assert_eq!(Segment::of(&whole[..length]), None, "{length} bytes");
        }
        let mut udp = whole.clone();
        udp[9] = 17;
        assert_eq!(Segment::of(&udp), None);
        let mut version_6 = whole.clone();
        version_6[0] = 0x65;
        assert_eq!(ends(&version_6), None);
        let mut long_header = whole;
        long_header[IP_HEADER + 12] = 0xf0;
        assert_eq!(Segment::of(&long_header), None);
    }

    #[test]
    fn a_reset_goes_to_both_ends_and_fits_the_stream() {
        let packet = segment("10.77.0.11:7001", "10.77.0.31:40000", DATA, b"hello");
        let [forth, back] = Segment::of(&packet).unwrap().resets();
        for reset in [&forth, &back] {
            // The sum over data with its own checksum is 0.
            assert_eq!(checksum(&reset[..IP_HEADER]), 0);
            let pseudo = [&reset[12..20], &[0, TCP, 0, 20], &reset[IP_HEADER..]].concat();
            assert_eq!(checksum(&pseudo), 0);
        }
        let (forth, back) = (Segment::of(&forth).unwrap(), Segment::of(&back).unwrap());
        assert_eq!((forth.from, forth.to, forth.sequence), (back.to, back.from, 7));
        assert_eq!((back.sequence, back.flags), (9, RST | ACK));
    }
}
