//! The operations of the service API by the names that journal and fault rules use.

mod actions;

use serde::{Deserialize, Serialize};

use crate::auth::Permission;
use crate::throttle::Meter;

/// What a request is about, as far as method, path and `If-Match` tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// PUT of an identity without a precondition.
    Create,
    /// PUT of an identity with one.
    Update,
    /// DELETE of an identity.
    Delete,
    /// GET of one identity.
    Read,
    /// GET of all identities.
    List,
    /// POST of many identities at once.
    Bulk,
    /// One of them; only ever seen in the journal.
    BulkItem,
    /// GET of a twin.
    TwinRead,
    /// PATCH of a twin.
    TwinPatch,
    /// PUT of a twin.
    TwinReplace,
    /// PUT of a module identity without a precondition.
    ModuleCreate,
    /// PUT of a module identity with one.
    ModuleUpdate,
    /// DELETE of a module identity.
    ModuleDelete,
    /// GET of one module identity.
    ModuleRead,
    /// GET of all modules of a device.
    ModuleList,
    /// GET of a module twin.
    ModuleTwinRead,
    /// PATCH of a module twin.
    ModuleTwinPatch,
    /// PUT of a module twin.
    ModuleTwinReplace,
    /// POST of a direct method for a device.
    Method,
    /// POST of a direct method for a module.
    ModuleMethod,
    /// PUT of a scheduled job.
    JobCreate,
    /// GET of a scheduled job.
    JobRead,
    /// GET of all scheduled jobs.
    JobList,
    /// POST that cancels a scheduled job.
    JobCancel,
    /// What a job did to a device; only ever seen in the journal.
    JobItem,
    /// PUT of a configuration without a precondition.
    ConfigurationCreate,
    /// PUT of a configuration with one.
    ConfigurationUpdate,
    /// DELETE of a configuration.
    ConfigurationDelete,
    /// GET of a configuration.
    ConfigurationRead,
    /// GET of all configurations.
    ConfigurationList,
    /// POST of queries to be tried.
    TestQueries,
    /// POST of the content of an edge deployment for one device.
    ApplyContent,
    /// What configurations did to a device; only ever seen in the journal.
    ConfigurationItem,
    /// POST of an import or export job.
    TransferCreate,
    /// GET of an import or export job.
    TransferRead,
    /// GET of all import and export jobs.
    TransferList,
    /// DELETE of an import or export job.
    TransferCancel,
    /// GET of a digital twin.
    DigitalTwinRead,
    /// PATCH of a digital twin.
    DigitalTwinPatch,
    /// POST of a command of a digital twin.
    DigitalTwinCommand,
    /// GET of what became of messages to devices.
    Feedback,
    /// DELETE or POST that settles such a notice.
    FeedbackSettle,
    /// POST for a token of an application; none of the hub's own business.
    Token,
    /// GET for a token of a managed identity.
    ManagedToken,
    /// GET of what token libraries need to know.
    Discovery,
    /// POST of a query.
    Query,
    /// DELETE of the messages that wait for a device.
    Purge,
    /// GET of the counts of identities.
    DeviceStatistics,
    /// GET of the count of connections.
    ServiceStatistics,
    /// A device that connects; this and what follows is MQTT, and only ever seen in the journal.
    DeviceConnect,
    /// A connection that has ended.
    DeviceDisconnect,
    /// A device that reads its twin.
    DeviceTwinRead,
    /// A device that writes its reported properties.
    DeviceReport,
    /// A device that is told a change of its desired properties.
    DeviceDesired,
    /// A device that answers a direct method.
    DeviceMethod,
    /// A message of a device to the cloud.
    DeviceMessage,
    /// An edit on the control port; only ever seen in the journal.
    HandEdit,
    /// Anything else.
    Other,
}

/// What an operation needs and costs.
struct Rule {
    permission: Option<Permission>,
    meter: Option<Meter>,
}

impl Operation {
    /// The permission a policy needs for it; `None` if any valid token will do.
    pub(crate) const fn permission(self) -> Option<Permission> {
        self.rule().permission
    }

    /// The limit it counts against.
    pub(crate) const fn meter(self) -> Option<Meter> {
        self.rule().meter
    }

    /// Whether it belongs to the token issuer, who asks for no token.
    pub(crate) const fn is_of_issuer(self) -> bool {
        matches!(self, Self::Token | Self::ManagedToken | Self::Discovery)
    }

    /// Whether it stands only in the journal, for something that is no request of its own.
    pub(crate) const fn only_in_journal(self) -> bool {
        matches!(
            self,
            Self::BulkItem | Self::JobItem | Self::ConfigurationItem | Self::HandEdit
        ) || self.is_of_devices()
    }

    /// Whether a device does it over its own connection.
    const fn is_of_devices(self) -> bool {
        matches!(
            self,
            Self::DeviceConnect
                | Self::DeviceDisconnect
                | Self::DeviceTwinRead
                | Self::DeviceReport
                | Self::DeviceDesired
                | Self::DeviceMethod
                | Self::DeviceMessage
        )
    }

    /// The permissions for statistics are guesses; no page names them.
    const fn rule(self) -> Rule {
        use Permission::{RegistryRead, RegistryWrite, ServiceConnect};
        match self {
            Self::Read
            | Self::List
            | Self::ModuleRead
            | Self::ModuleList
            | Self::DeviceStatistics => rule(RegistryRead, Meter::Registry),
            Self::Create
            | Self::Update
            | Self::Delete
            | Self::Bulk
            | Self::ModuleCreate
            | Self::ModuleUpdate
            | Self::ModuleDelete => rule(RegistryWrite, Meter::Registry),
            Self::ServiceStatistics => rule(ServiceConnect, Meter::Registry),
            Self::TwinRead | Self::ModuleTwinRead | Self::DigitalTwinRead => {
                rule(ServiceConnect, Meter::TwinReads)
            }
            Self::TwinPatch
            | Self::TwinReplace
            | Self::ModuleTwinPatch
            | Self::ModuleTwinReplace
            | Self::DigitalTwinPatch => rule(ServiceConnect, Meter::TwinWrites),
            Self::Query => rule(ServiceConnect, Meter::Queries),
            Self::Method | Self::ModuleMethod | Self::DigitalTwinCommand => {
                rule(ServiceConnect, Meter::Methods)
            }
            Self::JobCreate | Self::JobRead | Self::JobList | Self::JobCancel => {
                rule(ServiceConnect, Meter::Jobs)
            }
            Self::ConfigurationRead | Self::ConfigurationList | Self::TestQueries => {
                rule(RegistryRead, Meter::Configurations)
            }
            Self::ConfigurationCreate
            | Self::ConfigurationUpdate
            | Self::ConfigurationDelete
            | Self::ApplyContent => rule(RegistryWrite, Meter::Configurations),
            Self::TransferCreate
            | Self::TransferRead
            | Self::TransferList
            | Self::TransferCancel => rule(RegistryWrite, Meter::Jobs),
            Self::Purge | Self::Feedback | Self::FeedbackSettle => Rule {
                permission: Some(ServiceConnect),
                meter: None,
            },
            Self::BulkItem
            | Self::JobItem
            | Self::ConfigurationItem
            | Self::Token
            | Self::ManagedToken
            | Self::Discovery
            | Self::DeviceConnect
            | Self::DeviceDisconnect
            | Self::DeviceTwinRead
            | Self::DeviceReport
            | Self::DeviceDesired
            | Self::DeviceMethod
            | Self::DeviceMessage
            | Self::HandEdit
            | Self::Other => Rule {
                permission: None,
                meter: None,
            },
        }
    }
}

const fn rule(permission: Permission, meter: Meter) -> Rule {
    Rule {
        permission: Some(permission),
        meter: Some(meter),
    }
}
