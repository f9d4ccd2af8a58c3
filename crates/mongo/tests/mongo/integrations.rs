//! Integrations: the suite that every store of them must pass.

use mongo::MongoIntegrations;
use reconciler::conformance::{IntegrationSubject, Subject};

use crate::installation::Installation;

impl IntegrationSubject for Installation {
    type Integrations = MongoIntegrations;

    async fn open_integrations(&self) -> MongoIntegrations {
        MongoIntegrations::open(&self.connect().await)
    }

    async fn end_integrations(self) {
        Subject::end(self).await;
    }
}

reconciler::integration_store_conformance!(Installation::bare);
