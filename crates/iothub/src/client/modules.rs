//! Modules and their twins.

use serde_json::Value;

use super::{Hub, another_device};
use crate::device_id::DeviceId;
use crate::error::Result;
use crate::module::{Module, ModuleId, NewModule};
use crate::request;
use crate::twin::Twin;

/// # Modules
///
/// Microsoft's page: [Understand and use module twins](https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-module-twins).
///
/// With a shared access policy, calls about the modules of a device that does not exist or is
/// disabled are refused with 401, which is [`crate::Kind::Unauthorized`] here; calls about their
/// twins are not.
impl Hub {
    /// Lists the modules of a device with their keys, those of IoT Edge included.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// for module in hub.modules(&"dev-1".parse()?).await? {
    ///     println!("{} {:?}", module.module_id(), module.managed_by());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn modules(&self, device: &DeviceId) -> Result<Vec<Module>> {
        let answer = self.0.send(request::modules(self.host(), device)?).await?;
        let modules = Module::list_from_json(&answer.body)?;
        if modules.iter().all(|module| module.device_id() == device) {
            Ok(modules)
        } else {
            Err(another_device())
        }
    }

    /// Reads a module, with its keys.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let module = hub.module(&"dev-1".parse()?, &"camera".parse()?).await?;
    /// println!("{:?}", module.is_connected());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn module(&self, device: &DeviceId, module: &ModuleId) -> Result<Module> {
        let request = request::module(self.host(), device, module)?;
        let answer = self.0.send(request).await?;
        read(device, module, &answer.body)
    }

    /// Creates a module, or fails with [`crate::Kind::AlreadyExists`]. Never changes one. A device
    /// with 50 modules takes no more: [`crate::Kind::HubFull`].
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let new = iothub::NewModule::new("dev-1".parse()?, "camera".parse()?);
    /// assert!(hub.create_module(&new).await?.primary_key().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_module(&self, new: &NewModule) -> Result<Module> {
        let request = request::create_module(self.host(), new)?;
        let answer = self.0.send(request).await?;
        read(&new.device_id, &new.module_id, &answer.body)
    }

    /// Sends a module back as it was read and changed, or fails with
    /// [`crate::Kind::PreconditionFailed`] if somebody else changed it meanwhile.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut module = hub.module(&"dev-1".parse()?, &"camera".parse()?).await?;
    /// module.set_managed_by(Some("fleet"));
    /// hub.update_module(&module).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_module(&self, module_read: &Module) -> Result<Module> {
        let request = request::update_module(self.host(), module_read)?;
        let answer = self.0.send(request).await?;
        let (device, module) = (module_read.device_id(), module_read.module_id());
        read(device, module, &answer.body)
    }

    /// Deletes a module and its twin, if it still has this version (without quotes).
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let module = hub.module(&"dev-1".parse()?, &"camera".parse()?).await?;
    /// let etag = module.etag().ok_or("no etag")?;
    /// hub.delete_module(module.device_id(), module.module_id(), etag).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_module(
        &self,
        device: &DeviceId,
        module: &ModuleId,
        etag: &str,
    ) -> Result<()> {
        let request = request::delete_module(self.host(), device, module, etag)?;
        self.0.send(request).await.map(drop)
    }

    /// Reads a module's twin. Whichever of the two is missing, it is called the device.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let twin = hub.module_twin(&"dev-1".parse()?, &"camera".parse()?).await?;
    /// println!("{}", twin.without_metadata().reported());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn module_twin(&self, device: &DeviceId, module: &ModuleId) -> Result<Twin> {
        let request = request::module_twin(self.host(), device, module)?;
        let answer = self.0.send(request).await?;
        twin(device, module, &answer.body)
    }

    /// Merges tags and desired properties into a module's twin; null removes a key. With an
    /// `etag`, only if the twin still has this version.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let patch = serde_json::json!({"properties": {"desired": {"fps": 25}}});
    /// hub.patch_module_twin(&"dev-1".parse()?, &"camera".parse()?, &patch, None).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn patch_module_twin(
        &self,
        device: &DeviceId,
        module: &ModuleId,
        patch: &Value,
        etag: Option<&str>,
    ) -> Result<Twin> {
        let request = request::patch_module_twin(self.host(), device, module, patch, etag)?;
        let answer = self.0.send(request).await?;
        twin(device, module, &answer.body)
    }

    /// Replaces a module's tags and desired properties: what `edited` leaves out is gone. With an
    /// `etag`, only if the twin still has this version.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let (device, module) = ("dev-1".parse()?, "camera".parse()?);
    /// let read = hub.module_twin(&device, &module).await?;
    /// let edited = serde_json::json!({"tags": read.tags(), "properties": {"desired": {"fps": 5}}});
    /// hub.replace_module_twin(&device, &module, &edited, read.etag()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn replace_module_twin(
        &self,
        device: &DeviceId,
        module: &ModuleId,
        edited: &Value,
        etag: Option<&str>,
    ) -> Result<Twin> {
        let request = request::replace_module_twin(self.host(), device, module, edited, etag)?;
        let answer = self.0.send(request).await?;
        twin(device, module, &answer.body)
    }
}

fn read(device: &DeviceId, module: &ModuleId, body: &[u8]) -> Result<Module> {
    let read = Module::from_json(body)?;
    if read.device_id() == device && read.module_id() == module {
        Ok(read)
    } else {
        Err(another_device())
    }
}

fn twin(device: &DeviceId, module: &ModuleId, body: &[u8]) -> Result<Twin> {
    let twin = Twin::from_json(body)?;
    if twin.device_id() == device.as_str() && twin.module_id() == Some(module.as_str()) {
        Ok(twin)
    } else {
        Err(another_device())
    }
}
