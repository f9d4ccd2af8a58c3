//! Direct methods.

use bytes::Bytes;
use http::Request;

use super::Hub;
use crate::device_id::DeviceId;
use crate::error::Result;
use crate::method::{Method, MethodAnswer, Patience, unanswered};
use crate::module::ModuleId;
use crate::request;
use crate::transport::{Answer, Manner};

/// # Direct methods
///
/// Microsoft's page: [Understand and invoke direct methods](https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods).
///
/// A device that is not connected is [`crate::Kind::NotAvailable`] with
/// [`crate::Effect::None`] (404103); one that did not answer in time is
/// [`crate::Kind::NotAvailable`] with [`crate::Effect::Unknown`] (504). The request is given more
/// time than the device, whatever [`crate::Options::request_timeout`] says.
impl Hub {
    /// Calls a method of a device and waits for its answer.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let method = iothub::Method::new("reboot")?;
    /// let answer = hub.call_method(&"dev-1".parse()?, &method).await?;
    /// println!("{} {}", answer.status, answer.payload);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_method(&self, device: &DeviceId, method: &Method) -> Result<MethodAnswer> {
        let request = request::device_method(self.host(), device, method)?;
        let answer = self.wait_for_device(request, method.patience()).await?;
        MethodAnswer::from_json(&answer.body)
    }

    /// Calls a method of a module and waits for its answer.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let method = iothub::Method::new("ping")?;
    /// let answer = hub.call_module_method(&"dev-1".parse()?, &"$edgeAgent".parse()?, &method).await?;
    /// println!("{} {}", answer.status, answer.payload);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_module_method(
        &self,
        device: &DeviceId,
        module: &ModuleId,
        method: &Method,
    ) -> Result<MethodAnswer> {
        let request = request::module_method(self.host(), device, module, method)?;
        let answer = self.wait_for_device(request, method.patience()).await?;
        MethodAnswer::from_json(&answer.body)
    }

    /// Sends a request that a device answers in its own time.
    pub(super) async fn wait_for_device(
        &self,
        request: Request<Bytes>,
        patience: Patience,
    ) -> Result<Answer> {
        let manner = Manner {
            at_least: patience.in_all(),
            ..Manner::default()
        };
        let answer = self.0.send_as(request, manner).await;
        answer.map_err(unanswered)
    }
}
