//! A standalone federation in this process.

use std::ops::Deref;

use concord::standalone::Standalone;

use super::{Client, Hospital, Site};

/// A running federation; as its client.
pub(crate) struct System {
    pub(crate) site: Site,
    client: Client,
    standalone: Standalone,
}

impl System {
    pub(crate) async fn start(hospitals: &[Hospital]) -> System {
        let site = Site::new(hospitals);
        let standalone = Standalone::start(site.federation()).await;
        let standalone = standalone.expect("nothing is in the way");
        System {
            site,
            client: Client::new(&standalone.address.to_string()),
            standalone,
        }
    }

    /// Stops it, so that nothing of it disturbs other tests.
    pub(crate) async fn stop(self) {
        self.standalone.stop().await;
    }
}

impl Deref for System {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
