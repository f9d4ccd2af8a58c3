//! Clients that mean harm, or are broken: they lose their connection, and nobody else anything.

use std::time::{Duration, Instant};

use mqtt_proto::v3::{Packet, Publish};
use mqtt_proto::{Pid, QosPid, TopicName};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::device::{Device, TWIN, hello, key, with_devices};

async fn alive(device: &mut Device) {
    device.send(Packet::Pingreq).await;
    assert_eq!(device.next().await, Some(Packet::Pingresp));
}

#[tokio::test]
async fn what_breaks_a_rule_ends_only_that_connection() {
    let hub = with_devices(&[]).await;
    hub.control("PUT", "/devices/good", "").await;
    let mut good = Device::connect(&hub, "good").await;
    let publish = |qos, topic: &str| {
        let topic = TopicName::try_from(topic).unwrap();
        Packet::from(Publish::new(qos, topic, "{}".into()))
            .encode()
            .unwrap()
            .as_ref()
            .to_vec()
    };
    let own = "devices/d1/messages/events/";
    let second = Packet::from(hello("d1", &key(&hub, "d1").await));
    let connack = b"\x20\x02\x00\x00".to_vec();
    for (what, bytes) in [
        (
            "another's topic",
            publish(QosPid::Level0, "devices/good/messages/events/"),
        ),
        ("an unknown topic", publish(QosPid::Level0, "anything")),
        ("quality 2", publish(QosPid::Level2(Pid::default()), own)),
        (
            "a second CONNECT",
            second.encode().unwrap().as_ref().to_vec(),
        ),
        ("a packet of servers", connack),
        ("too long a packet", b"\x30\xff\xff\xff\x7f".to_vec()),
        ("a reserved kind", b"\x00\x00".to_vec()),
    ] {
        let mut bad = Device::connect(&hub, "d1").await;
        bad.send_bytes(&bytes).await;
        bad.closed().await;
        alive(&mut good).await;
        let shown = hub.seen("/devices/d1", |it| it["connectionState"] == "Disconnected");
        assert_eq!(shown.await["deviceId"], "d1", "{what}");
    }
}

#[tokio::test]
async fn random_bytes_hurt_nobody() {
    let hub = with_devices(&[]).await;
    hub.control("PUT", "/devices/good", "").await;
    let mut good = Device::connect(&hub, "good").await;
    let dice = SystemRandom::new();
    let mut seed = [0; 8];
    dice.fill(&mut seed).unwrap();
    let mut state = u64::from_be_bytes(seed) | 1;
    println!("seed {state}");
    let mut next = || {
        // xorshift64, good enough for noise.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..60 {
        let length = usize::try_from(next() % 300).unwrap();
        let mut bytes: Vec<u8> = (0..length).map(|_| next().to_be_bytes()[0]).collect();
        let mut bad = if round % 2 == 0 {
            Device::open(&hub).await
        } else {
            Device::connect(&hub, "d1").await
        };
        if round % 3 == 0 && length > 4 {
            // A likely kind and length, and then noise.
            bytes[0] = [0x10, 0x30, 0x32, 0x82, 0xa2, 0x40][usize::try_from(next() % 6).unwrap()];
            bytes[1] = u8::try_from((length - 2) % 128).unwrap();
        }
        bad.send_bytes(&bytes).await;
    }
    // Noise straight onto the port, before any TLS.
    let mut raw = TcpStream::connect(hub.ready["mqtt"].as_str().unwrap())
        .await
        .unwrap();
    raw.write_all(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        .await
        .unwrap();
    let mut answer = vec![];
    let _ = raw.read_to_end(&mut answer).await;
    alive(&mut good).await;
    good.subscribe(&[TWIN]).await;
    good.publish("$iothub/twin/GET/?$rid=1", "").await;
    assert_eq!(good.told().await.0, "$iothub/twin/res/200/?$rid=1");
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let hub = with_devices(&[]).await;
    let begun = Instant::now();
    let (silent, mut slow) = tokio::join!(Device::open(&hub), Device::open(&hub));
    slow.send_bytes(b"\x10").await;
    tokio::join!(silent.closed(), slow.closed());
    assert!(begun.elapsed() >= Duration::from_secs(9), "too soon");
}

#[tokio::test]
async fn connections_are_counted_and_further_ones_closed() {
    let hub = with_devices(&["--mqtt-connections", "1"]).await;
    let mut device = Device::connect(&hub, "d1").await;
    let mut second = TcpStream::connect(hub.ready["mqtt"].as_str().unwrap())
        .await
        .unwrap();
    let mut answer = vec![];
    let _ = second.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    alive(&mut device).await;
    device.send(Packet::Disconnect).await;
    device.closed().await;
    let entry = hub.journal_until("d1", |it| it["operation"] == "device-disconnect");
    assert_eq!(entry.await["status"], 200);
}
