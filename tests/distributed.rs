//! A distributed Concord: each role a process of its own, over RabbitMQ and PostgreSQL.

mod away;
mod batch;
mod chaos;
mod permissions;
mod scaling;
mod tls;

use crate::faults::ends_with_the_same_bits;
use crate::seed::{check_scores, follow, infer, like_the_seed, look_at_boards};
use crate::support::{Deployment, Job, System, seed_hospitals, seed_train};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seed_s_calls_work_byte_for_byte_over_processes_with_the_bits_of_standalone() {
    let mut deployment = Deployment::with_databases(&seed_hospitals()).await;
    let client = deployment.api();
    let accepted = client.post("/model/train", seed_train()).await;
    like_the_seed("模型训练", &accepted.json());
    let data = accepted.data();
    let job = Job {
        order: data["order_id"].as_i64().expect("an id"),
        model: data["model_id"].as_i64().expect("an id"),
    };
    follow(&client, job).await;
    look_at_boards(&client, job).await;
    let spec = deployment.spec(job.order).await;
    let model = deployment.model(4, job.model).await;
    let result = infer(&client, job.model).await;
    check_scores(&deployment.site, &spec, &result, &model).await;
    ends_with_the_same_bits(&mut deployment, job).await;

    let standalone = System::start(&seed_hospitals()).await;
    let same = standalone.train(seed_train()).await;
    standalone.finished(same.order).await;
    assert!(standalone.site.export(4, same.model).await == model);
    standalone.stop().await;
}
