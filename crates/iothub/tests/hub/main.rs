//! The client against a server: what it sends, and what it makes of every kind of answer.

mod bulk;
mod configurations;
mod entra;
mod failures;
mod hosts;
mod jobs;
mod methods;
mod modules;
mod operations;
mod queries;
mod server;
mod trust;
