//! The API as its clients meet it: requests in, bytes out, with a store of its own per test.

mod accounts;
mod answers;
mod authorisation;
mod batch;
mod panel;
mod refusals;
mod serving;
mod slow_clients;
mod support;
