//! Packets there and back, and bytes that are none.

use mqtt_proto::v3::{Connect, Publish, Suback, Subscribe};
use mqtt_proto::{Pid, QoS, QosPid, TopicFilter, TopicName};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::*;

fn taken(bytes: &[u8]) -> Result<Option<Packet>, Malformed> {
    take(&mut BytesMut::from(bytes), MAX_PACKET)
}

fn samples() -> Vec<Packet> {
    let mut connect = Connect::new("d1".into(), 60);
    connect.username = Some("localhost/d1".into());
    connect.password = Some(Bytes::from_static(b"secret"));
    let topic = || TopicName::try_from("a/b").unwrap();
    let filter = TopicFilter::try_from("a/#").unwrap();
    vec![
        connect.into(),
        Publish::new(QosPid::Level0, topic(), Bytes::new()).into(),
        Publish::new(
            QosPid::Level1(Pid::default()),
            topic(),
            Bytes::from(vec![7; 300]),
        )
        .into(),
        Subscribe::new(Pid::default(), vec![(filter, QoS::Level1)]).into(),
        Packet::Pingreq,
        Packet::Disconnect,
    ]
}

#[test]
fn packets_come_in_any_pieces() {
    for packet in samples() {
        let bytes = encode(&packet).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(taken(&bytes[..end]), Ok(None), "{end} bytes of {packet:?}");
        }
        let mut two = BytesMut::from([&bytes[..], &bytes[..1]].concat().as_slice());
        assert_eq!(take(&mut two, MAX_PACKET), Ok(Some(packet)));
        assert_eq!(two.len(), 1, "the next one is left alone");
    }
}

#[test]
fn a_length_is_judged_before_anything_is_waited_for() {
    assert_eq!(
        taken(&[0x30, 0xff, 0xff, 0xff, 0x7f]),
        Err(Malformed::TooLong)
    );
    assert_eq!(
        taken(&[0x30, 0x80, 0x80, 0x80, 0x80]),
        Err(Malformed::Length)
    );
    let mut buffer = BytesMut::from(&[0x10, 0x80, 0x80, 0x02][..]);
    assert_eq!(take(&mut buffer, MAX_CONNECT), Err(Malformed::TooLong));
    assert_eq!(take(&mut buffer, MAX_PACKET), Ok(None));
}

#[test]
fn there_is_one_way_to_write_a_packet() {
    for (bytes, what) in [
        (
            &[0xc0, 0x80, 0x00][..],
            "a length in more bytes than it needs",
        ),
        (&[0xc0, 0x01, 0x00], "a ping with something in it"),
        (&[0xe0, 0x01, 0x00], "a goodbye with something in it"),
        (
            &[0x40, 0x03, 0, 1, 0],
            "an acknowledgement with a byte too many",
        ),
        (&[0x40, 0x01, 0], "an acknowledgement with a byte too few"),
        (&[0x40, 0x02, 0, 0], "the packet id 0"),
        (&[0xc1, 0x00], "a reserved flag"),
        (&[0x00, 0x00], "a kind that is reserved"),
        (&[0xf0, 0x00], "a kind of another version"),
        (&[0x36, 0x05, 0, 1, b'a', 0, 1], "a quality of 3"),
        (&[0x30, 0x03, 0, 9, b'a'], "a topic longer than its packet"),
        (&[0x30, 0x03, 0, 1, b'#'], "a topic with a wildcard"),
        (&[0x30, 0x04, 0, 2, 0xc3, 0x28], "a topic that is no text"),
        (&[0x30, 0x03, 0, 1, 0], "a topic with a zero"),
        (&[0x82, 0x02, 0, 1], "a subscription to nothing"),
        (
            &[0x82, 0x06, 0, 1, 0, 1, b'a', 3],
            "a subscription of quality 3",
        ),
    ] {
        assert_eq!(taken(bytes), Err(Malformed::Content), "{what}");
    }
}

#[test]
fn a_subscription_that_is_refused_is_answered_so() {
    use SubscribeReturnCode::{Failure, MaxLevel0, MaxLevel1};
    let codes = vec![Failure, MaxLevel1, Failure, MaxLevel0];
    let answer = Suback::new(Pid::default(), codes);
    let bytes = encode(&answer.into()).unwrap();
    assert_eq!(&bytes[..], [0x90, 6, 0, 1, 0x80, 1, 0x80, 0]);
}

#[test]
fn connects_of_other_versions_are_told_apart() {
    for (name, level) in [("MQTT", 5), ("MQTT", 9), ("HTTP", 4), ("MQIsdp", 4)] {
        let mut body = vec![0, u8::try_from(name.len()).unwrap()];
        body.extend(name.as_bytes());
        body.extend([level, 2, 0, 60, 0, 2, b'd', b'1']);
        let length = u8::try_from(body.len()).unwrap();
        let bytes = [&[0x10, length][..], &body].concat();
        assert_eq!(taken(&bytes), Err(Malformed::Version), "{name} {level}");
    }
    let mut odd = encode(&samples()[0]).unwrap().to_vec();
    odd[9] |= 1;
    assert_eq!(taken(&odd), Err(Malformed::Content), "a reserved flag");
}

proptest! {
    #[test]
    fn any_bytes_are_a_packet_or_none(bytes in vec(any::<u8>(), 0..600)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Some(packet)) = take(&mut buffer, MAX_PACKET) {
            assert!(encode(&packet).is_some());
        }
    }

    #[test]
    fn a_damaged_packet_is_a_packet_or_none(
        which in 0..6_usize, at in any::<usize>(), flip in 1..=255_u8, cut in any::<usize>(),
    ) {
        let mut bytes = encode(&samples()[which]).unwrap().to_vec();
        let place = at % bytes.len();
        bytes[place] ^= flip;
        bytes.truncate(1 + cut % bytes.len());
        let _ = taken(&bytes);
    }
}
