//! How good scores are, from the scores and the classes themselves.

/// The area under the ROC curve: how often a positive row scores above a negative one, equal
/// scores counting half (Mann and Whitney 1947). `None` unless both classes occur.
pub(super) fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut rows: Vec<(f64, bool)> = scores
        .iter()
        .copied()
        .zip(positive.iter().copied())
        .collect();
    rows.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut below, mut half_pairs) = (0_u64, 0_u64);
    for equal in rows.chunk_by(|left, right| left.0 == right.0) {
        let positives = equal.iter().filter(|row| row.1).count() as u64;
        let negatives = equal.len() as u64 - positives;
        half_pairs += positives * (2 * below + negatives);
        below += negatives;
    }
    let pairs = (rows.len() as u64 - below) * below;
    (pairs > 0).then(|| half_pairs as f64 / (2 * pairs) as f64)
}

/// The share of rows whose score is on its class' side of the threshold. NaN without rows.
pub(super) fn accuracy(scores: &[f64], positive: &[bool], threshold: f64) -> f64 {
    let rows = scores.iter().zip(positive);
    let right = rows.filter(|&(&score, &positive)| (score > threshold) == positive);
    right.count() as f64 / scores.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [bool; 4] = [false, false, true, true];

    #[test]
    fn the_area_is_the_share_of_pairs_in_the_right_order() {
        // The example of scikit-learn's `roc_auc_score`.
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &CLASSES), Some(0.75));
        assert_eq!(auc(&[0.1, 0.2, 0.3, 0.4], &CLASSES), Some(1.0));
        assert_eq!(auc(&[0.4, 0.3, 0.2, 0.1], &CLASSES), Some(0.0));
    }

    #[test]
    fn equal_scores_count_half() {
        assert_eq!(auc(&[0.5; 4], &CLASSES), Some(0.5));
        assert_eq!(auc(&[0.1, 0.5, 0.5, 0.9], &CLASSES), Some(0.875));
        assert_eq!(auc(&[-0.0, 0.0], &[false, true]), Some(0.5));
    }

    #[test]
    fn one_class_has_no_area() {
        assert_eq!(auc(&[0.1, 0.2], &[true, true]), None);
        assert_eq!(auc(&[0.1, 0.2], &[false, false]), None);
        assert_eq!(auc(&[], &[]), None);
    }

    #[test]
    fn a_score_at_the_threshold_is_negative() {
        assert_eq!(accuracy(&[0.1, 0.5, 0.5, 0.9], &CLASSES, 0.5), 0.75);
        assert_eq!(accuracy(&[0.1, 0.5, 0.5, 0.9], &CLASSES, 0.4), 0.75);
        assert_eq!(accuracy(&[0.1, 0.2, 0.6, 0.9], &CLASSES, 0.5), 1.0);
    }
}
