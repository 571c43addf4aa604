//! The seed's words for what we call otherwise: status, progress, finished components, job name.

use serde_json::Value;
use shared::id::{OrderId, PartyId};
use shared::job::{JobStatus, Phase, Report};
use shared::store::Job;

/// `model_type` as `/model/info` shows it.
pub(crate) const LOGISTIC_REGRESSION: &str = "Logistic Regression";

/// The progress, in percent, at which every party has its rows.
const DATA_READY_PERCENT: u32 = 33;
/// The progress, in percent, at which training is over.
const TRAINED_PERCENT: u32 = 66;

/// The word of `train_status` and `infer_status`.
pub(crate) fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::AwaitingInput | JobStatus::Pending | JobStatus::AwaitingApproval => "waiting",
        JobStatus::Running => "running",
        JobStatus::Finished => "finished",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "canceled",
    }
}

/// `data_volum`: rows per party; empty until counted.
pub(crate) fn data_volum(report: &Report) -> Value {
    let rows = report
        .rows
        .iter()
        .map(|(party, rows)| (party.to_string(), Value::from(*rows)));
    Value::Object(rows.collect())
}

/// Percent done: 0, 33 when every party has its rows, up to 66 with the iterations, 100 at the end.
/// It stays where it was when a job fails, and does not fall when an attempt starts over, since
/// `report` keeps what earlier attempts reached.
pub(crate) fn progress(status: JobStatus, report: &Report) -> u32 {
    if status == JobStatus::Finished {
        return 100;
    }
    if !counted(report) {
        return 0;
    }
    if trained(report) {
        return TRAINED_PERCENT;
    }
    let span = u64::from(TRAINED_PERCENT - DATA_READY_PERCENT);
    let done = span * u64::from(report.iterations) / u64::from(report.iterations_max.max(1));
    DATA_READY_PERCENT + u32::try_from(done.min(span)).expect("at most a span of percent")
}

/// Whether every party has its rows; its policy may hide how many.
fn counted(report: &Report) -> bool {
    !report.rows.is_empty() || matches!(report.phase, Phase::Counting | Phase::Training)
}

/// `current_tasks`: JSON text that names the component which finished last, as FATE writes it.
pub(crate) fn current_tasks(status: JobStatus, report: &Report, job_name: &str) -> String {
    let component = if status == JobStatus::Finished {
        "evaluation_0"
    } else if trained(report) {
        "homo_lr_0"
    } else if counted(report) {
        "dataio_0"
    } else {
        return "[]".to_owned();
    };
    format!("[\"{job_name}_{component}\"]")
}

fn trained(report: &Report) -> bool {
    let all = report.iterations_max > 0 && report.iterations >= report.iterations_max;
    all || report.converged.is_some()
}

/// The seed's job name: UTC time of submission to the microsecond, then the order id.
/// `created` is in Unix milliseconds.
pub(crate) fn job_name(created: i64, order: OrderId) -> String {
    let (days, milliseconds) = (
        created.div_euclid(86_400_000),
        created.rem_euclid(86_400_000),
    );
    let (year, month, day) = civil(days);
    let seconds = milliseconds / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let microseconds = milliseconds % 1000 * 1000;
    let OrderId(order) = order;
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{microseconds:06}{order}")
}

/// Gregorian date of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// When a job ended, in Unix milliseconds.
pub(crate) fn ended(job: &Job) -> Option<i64> {
    job.status.is_terminal().then_some(job.status_at)
}

/// The board's number of a party.
pub(crate) fn board_party(party: PartyId) -> u64 {
    10_001_u64.saturating_sub(party.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn report(iterations: u32, iterations_max: u32) -> Report {
        let rows = BTreeMap::from([(PartyId(3), 702)]);
        Report {
            rows,
            iterations,
            iterations_max,
            ..Report::default()
        }
    }

    #[test]
    fn the_job_name_of_the_seed_comes_out_of_its_time_and_counter() {
        // 2019-12-16 14:32:33.359, counter 20.
        let name = job_name(1_576_506_753_359, OrderId(20));
        assert_eq!(name, "2019121614323335900020");
    }

    #[test]
    fn dates_are_right_at_the_edges_of_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_088, (2024, 12, 31)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date);
        }
    }

    #[test]
    fn progress_goes_through_the_thirds_with_the_iterations_between() {
        let running = |report: &Report| progress(JobStatus::Running, report);
        assert_eq!(progress(JobStatus::Pending, &Report::default()), 0);
        assert_eq!(running(&report(0, 0)), 33);
        assert_eq!(running(&report(0, 5)), 33);
        assert_eq!(running(&report(2, 5)), 46);
        assert_eq!(running(&report(5, 5)), 66);
        let early = Report {
            converged: Some(true),
            ..report(2, 5)
        };
        assert_eq!(running(&early), 66);
        assert_eq!(progress(JobStatus::Finished, &early), 100);
        assert_eq!(progress(JobStatus::Failed, &report(2, 5)), 46);
    }

    #[test]
    fn current_tasks_name_the_component_that_finished_last() {
        let running = |report: &Report| current_tasks(JobStatus::Running, report, "J");
        assert_eq!(running(&Report::default()), "[]");
        assert_eq!(running(&report(1, 5)), r#"["J_dataio_0"]"#);
        assert_eq!(running(&report(5, 5)), r#"["J_homo_lr_0"]"#);
        assert_eq!(
            current_tasks(JobStatus::Finished, &report(5, 5), "J"),
            r#"["J_evaluation_0"]"#
        );
    }
}
