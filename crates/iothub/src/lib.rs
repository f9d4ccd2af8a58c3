//! Calls the Azure IoT Hub service API.
