//! Digital twins.

use serde_json::Value;

use super::{Hub, another_device};
use crate::device_id::DeviceId;
use crate::digital_twin::{Command, CommandAnswer, DigitalTwin};
use crate::error::{Error, Result};
use crate::request;
use crate::transport::Answer;

const STATUS: &str = "x-ms-command-statuscode";

/// # Digital twins
///
/// Microsoft's page: [Understand IoT Plug and Play digital twins](https://learn.microsoft.com/azure/iot/concepts-digital-twin).
impl Hub {
    /// Reads a device's digital twin. Every device has one, also without a model.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let twin = hub.digital_twin(&"dev-1".parse()?).await?;
    /// println!("{}", twin.model_id());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn digital_twin(&self, device: &DeviceId) -> Result<DigitalTwin> {
        let request = request::digital_twin(self.host(), device)?;
        let answer = self.0.send(request).await?;
        let twin = DigitalTwin::from_json(&answer.body, etag(&answer))?;
        if twin.id() == Some(device.as_str()) {
            Ok(twin)
        } else {
            Err(another_device())
        }
    }

    /// Edits a digital twin with a JSON Patch, and gives its new version if the hub tells it. With
    /// an `etag`, only if the twin still has this version.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let patch = serde_json::json!([{"op": "add", "path": "/targetTemperature", "value": 21}]);
    /// hub.patch_digital_twin(&"dev-1".parse()?, &patch, None).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn patch_digital_twin(
        &self,
        device: &DeviceId,
        patch: &Value,
        if_match: Option<&str>,
    ) -> Result<Option<String>> {
        let request = request::patch_digital_twin(self.host(), device, patch, if_match)?;
        Ok(etag(&self.0.send(request).await?))
    }

    /// Calls a command of a device or component and waits for its answer. Errors are those of
    /// [`Hub::call_method`]; with Microsoft Entra ID it is [`crate::Kind::Unauthorized`] always.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let answer = hub.call_command(&"dev-1".parse()?, &iothub::Command::new("reboot")?).await?;
    /// println!("{:?} {}", answer.status, answer.payload);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_command(
        &self,
        device: &DeviceId,
        command: &Command,
    ) -> Result<CommandAnswer> {
        let (.., patience) = command.parts();
        let request = request::command(self.host(), device, command)?;
        let answer = self.wait_for_device(request, patience).await?;
        let payload = match answer.body.as_slice() {
            [] => Value::Null,
            body => serde_json::from_slice(body)
                .map_err(|_| Error::malformed("the command's answer is no JSON"))?,
        };
        let status = answer.header(STATUS).and_then(|text| text.parse().ok());
        Ok(CommandAnswer { status, payload })
    }
}

/// The version in a header, without quotes.
fn etag(answer: &Answer) -> Option<String> {
    let text = answer.header("etag")?.trim_matches('"');
    (!text.is_empty()).then(|| text.to_owned())
}
