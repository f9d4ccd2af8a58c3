//! Configurations and IoT Edge deployments.

use std::collections::BTreeMap;

use super::Hub;
use crate::configuration::{
    Configuration, ConfigurationContent, ConfigurationId, NewConfiguration, QueryTest,
};
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::request;
use crate::transport::Answer;

/// # Configurations and IoT Edge deployments
///
/// Microsoft's pages: [Automatic device management](https://learn.microsoft.com/azure/iot-hub/iot-hub-automatic-device-management),
/// [Understand IoT Edge automatic deployments](https://learn.microsoft.com/azure/iot-edge/module-deployment-monitoring).
///
/// A hub takes 100 configurations (Free: 10), and one more is [`crate::Kind::HubFull`].
impl Hub {
    /// Lists all configurations and deployments.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// for configuration in hub.configurations().await? {
    ///     println!("{} {:?}", configuration.id(), configuration.system_results());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn configurations(&self) -> Result<Vec<Configuration>> {
        let answer = self.0.send(request::configurations(self.host())?).await?;
        Configuration::list_from_json(&answer.body)
    }

    /// Reads a configuration.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{:?}", hub.configuration(&"interval-5".parse()?).await?.priority());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn configuration(&self, id: &ConfigurationId) -> Result<Configuration> {
        let request = request::configuration(self.host(), id)?;
        about(id, &self.0.send(request).await?)
    }

    /// Creates a configuration or deployment, or fails with [`crate::Kind::AlreadyExists`].
    ///
    /// ```no_run
    /// use iothub::{ConfigurationContent, NewConfiguration};
    /// use serde_json::json;
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let content = ConfigurationContent::device(json!({"properties.desired.interval": 5}))?;
    /// let new = NewConfiguration {
    ///     target_condition: "*".into(),
    ///     ..NewConfiguration::new("interval-5".parse()?, content)
    /// };
    /// hub.create_configuration(&new).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_configuration(&self, new: &NewConfiguration) -> Result<Configuration> {
        let request = request::create_configuration(self.host(), new)?;
        about(&new.id, &self.0.send(request).await?)
    }

    /// Sends a configuration back as it was read and changed, or fails with
    /// [`crate::Kind::PreconditionFailed`] if somebody else changed it meanwhile.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut configuration = hub.configuration(&"interval-5".parse()?).await?;
    /// configuration.set_priority(20);
    /// hub.update_configuration(&configuration).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_configuration(
        &self,
        configuration_read: &Configuration,
    ) -> Result<Configuration> {
        let request = request::update_configuration(self.host(), configuration_read)?;
        about(configuration_read.id(), &self.0.send(request).await?)
    }

    /// Deletes a configuration if it still has this version (without quotes). What it wrote into
    /// twins stays there.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let configuration = hub.configuration(&"interval-5".parse()?).await?;
    /// let etag = configuration.etag().ok_or("no etag")?;
    /// hub.delete_configuration(configuration.id(), etag).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_configuration(&self, id: &ConfigurationId, etag: &str) -> Result<()> {
        let request = request::delete_configuration(self.host(), id, etag)?;
        self.0.send(request).await.map(drop)
    }

    /// Asks what is wrong with a condition and with queries, by name, before they are used. The
    /// condition `*` is refused by the hub, though a configuration may have it.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let test = hub.test_queries("tags.site = 'north'", &Default::default()).await?;
    /// println!("{:?}", test.condition_error);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn test_queries(
        &self,
        condition: &str,
        metrics: &BTreeMap<String, String>,
    ) -> Result<QueryTest> {
        let request = request::test_queries(self.host(), condition, metrics)?;
        QueryTest::from_json(&self.0.send(request).await?.body)
    }

    /// Sets the modules of one IoT Edge device, without a deployment. For any other device it is
    /// [`crate::Kind::Invalid`].
    ///
    /// ```no_run
    /// use iothub::ConfigurationContent;
    /// use serde_json::json;
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let modules = json!({"$edgeAgent": {"properties.desired": {"schemaVersion": "1.1"}}});
    /// hub.apply_content(&"gateway".parse()?, &ConfigurationContent::edge(modules)?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn apply_content(
        &self,
        device: &DeviceId,
        content: &ConfigurationContent,
    ) -> Result<()> {
        let request = request::apply_content(self.host(), device, content)?;
        self.0.send(request).await.map(drop)
    }
}

fn about(asked: &ConfigurationId, answer: &Answer) -> Result<Configuration> {
    let configuration = Configuration::from_json(&answer.body)?;
    if configuration.id() == asked {
        Ok(configuration)
    } else {
        Err(Error::malformed(
            "the answer is about another configuration",
        ))
    }
}
