//! The registry as a whole: lists, counts, gateways, message queues.

use super::Hub;
use crate::device_id::DeviceId;
use crate::error::Result;
use crate::identity::Identity;
use crate::request;
use crate::statistics::{self, DeviceStatistics};

/// # The registry as a whole
///
/// Microsoft's pages: [Understand the identity registry](https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry),
/// [Connect downstream IoT Edge devices](https://learn.microsoft.com/azure/iot-edge/how-to-connect-downstream-iot-edge-device).
impl Hub {
    /// Lists up to `top` identities (1 to 1000) with their keys, in no order. There is no second
    /// page: to see all devices, use [`Hub::query`] or an export.
    ///
    /// An identity with an id that this client refuses (`.` or `..`) is left out.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// for identity in hub.devices(100).await? {
    ///     println!("{} {:?}", identity.device_id(), identity.status());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn devices(&self, top: u16) -> Result<Vec<Identity>> {
        let answer = self.0.send(request::devices(self.host(), top)?).await?;
        Identity::list_from_json(&answer.body)
    }

    /// Puts a device behind an IoT Edge gateway: reads both, and sends the device back in the
    /// version that was read.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let child = hub.set_parent(&"dev-1".parse()?, &"gateway".parse()?).await?;
    /// println!("{:?}", child.device_scope());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_parent(&self, child: &DeviceId, gateway: &DeviceId) -> Result<Identity> {
        let gateway = self.device(gateway).await?;
        let mut child = self.device(child).await?;
        child.set_parent(&gateway)?;
        self.update_device(&child).await
    }

    /// Counts the devices, approximately.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{} devices", hub.device_statistics().await?.total);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn device_statistics(&self) -> Result<DeviceStatistics> {
        let request = request::device_statistics(self.host())?;
        DeviceStatistics::from_json(&self.0.send(request).await?.body)
    }

    /// Counts the connected devices, approximately.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{} connected", hub.connected_devices().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connected_devices(&self) -> Result<u64> {
        let request = request::service_statistics(self.host())?;
        statistics::connected_from_json(&self.0.send(request).await?.body)
    }

    /// Throws away the messages that wait for a device, and tells how many there were. Sending
    /// messages needs AMQP and is not part of this crate.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{} messages", hub.purge_messages(&"dev-1".parse()?).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn purge_messages(&self, device: &DeviceId) -> Result<u64> {
        let request = request::purge_messages(self.host(), device)?;
        statistics::purged_from_json(&self.0.send(request).await?.body)
    }
}
