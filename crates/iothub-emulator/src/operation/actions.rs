//! What a caller from Entra ID must be allowed to do, for each operation.
//!
//! Names without their prefix `Microsoft.Devices/IotHubs/`, as in "Control access to IoT Hub by
//! using Microsoft Entra ID".

use super::Operation;

impl Operation {
    /// All data actions the operation needs; none if any token will do.
    pub(crate) const fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Read | Self::List | Self::ModuleRead | Self::ModuleList => &["devices/read"],
            Self::Create | Self::Update | Self::ModuleCreate | Self::ModuleUpdate => {
                &["devices/write"]
            }
            Self::Delete | Self::ModuleDelete => &["devices/delete"],
            // Whatever its items do.
            Self::Bulk => &["devices/write", "devices/delete"],
            Self::TwinRead | Self::ModuleTwinRead | Self::Query | Self::DigitalTwinRead => {
                &["twins/read"]
            }
            Self::TwinPatch
            | Self::TwinReplace
            | Self::ModuleTwinPatch
            | Self::ModuleTwinReplace
            | Self::DigitalTwinPatch => &["twins/write"],
            Self::Method | Self::ModuleMethod | Self::DigitalTwinCommand => {
                &["directMethods/invoke/action"]
            }
            Self::JobCreate | Self::TransferCreate => &["jobs/write"],
            Self::JobRead | Self::JobList | Self::TransferRead | Self::TransferList => {
                &["jobs/read"]
            }
            Self::JobCancel | Self::TransferCancel => &["jobs/delete"],
            Self::ConfigurationRead | Self::ConfigurationList => &["configurations/read"],
            Self::ConfigurationCreate | Self::ConfigurationUpdate => &["configurations/write"],
            Self::ConfigurationDelete => &["configurations/delete"],
            Self::TestQueries => &["configurations/testQueries/action"],
            Self::ApplyContent => &["configurations/applyToEdgeDevice/action"],
            Self::DeviceStatistics | Self::ServiceStatistics => &["statistics/read"],
            Self::Purge => &["cloudToDeviceMessages/queue/purge/action"],
            Self::Feedback | Self::FeedbackSettle => &["cloudToDeviceMessages/feedback/action"],
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
            | Self::Other => &[],
        }
    }
}
