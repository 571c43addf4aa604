//! The API as its clients meet it: requests in, bytes out.

mod serving;
