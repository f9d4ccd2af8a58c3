//! The suite that every device store must pass.

use jetstream::KvDevices;
use lifecycle::DeviceRef;
use reconciler::conformance::Subject;

use crate::installation::Installation;

const BUCKET: &str = "iothub_devices";

impl Subject for Installation {
    type Store = KvDevices;

    async fn open(&self) -> KvDevices {
        let context = jetstream::context(self.server.client().await.unwrap());
        KvDevices::open(&context, &self.names).await.unwrap()
    }

    async fn plant(&self, device: &DeviceRef, _: u8, text: &str) {
        let bucket = self.context.get_key_value(BUCKET).await.unwrap();
        let text = text.to_owned().into();
        bucket.put(device.to_tokens(), text).await.unwrap();
    }

    async fn text(&self, device: &DeviceRef) -> Option<String> {
        let bucket = self.context.get_key_value(BUCKET).await.unwrap();
        let bytes = bucket.get(device.to_tokens()).await.unwrap()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn end(self) {
        self.dir.passed();
    }
}

async fn start(test: &str) -> Option<Installation> {
    Some(Installation::new(test).await)
}

reconciler::device_store_conformance!(start);
