//! The panel, as a client meets it that knows the second API document alone: its curl lines, with
//! real values, against one process and against a process for each part.

mod disturbed;
mod document;

use crate::faults::hospitals;
use crate::support::people::{self, People, Pins};
use crate::support::{Deployment, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_document_makes_every_call_of_one_process() {
    let site = Site::new(&hospitals(&[2, 3, 4]));
    let federation = people::standalone(&site, "info").await;
    let people = People::of_process(&site, &federation).await;
    document::follow(&people).await;
    document::run_again(&people, &Pins::Config(site.config())).await;
    federation.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_document_makes_every_call_of_many_processes() {
    let mut deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    people::let_in(&mut deployment).await;
    let people = People::of_deployment(&deployment).await;
    document::follow(&people).await;
    let directory = deployment.site.path().join("directory.toml");
    document::run_again(&people, &Pins::Directory(directory)).await;
    assert_eq!(deployment.ended_by_themselves(), 0);
}
