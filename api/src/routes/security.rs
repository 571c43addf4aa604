//! `GET /security`: who learns what, in short; SECURITY.md has the whole.

use axum::response::Response;

use super::board;

pub(super) async fn page() -> Response {
    board::file(
        "text/html; charset=utf-8",
        include_str!("../../web/security.html"),
    )
}
