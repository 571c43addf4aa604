//! What can be computed beside federated models: joint computations over three participants'
//! matrices, and learning on one participant's uploaded files. Names are those of the API document
//! (seed-systems 1.3 and 1.4), in any case.

use serde::{Deserialize, Serialize};

use crate::limits::MATRIX_VALUES_MAX;
use crate::sharing::Domain;

/// A joint computation over the matrices P0, P1, P2 of three participants, in the order in which
/// the job names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `P0 + P1 + P2`, all of one shape.
    Addition,
    /// `(P0 x P1) x P2`.
    Multiplication,
    /// Which values are greater, of matrices of one shape.
    Comparison(Reveal),
}

/// What a comparison tells, place by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reveal {
    /// Whether `P0 > P1`; P2's values are not used.
    #[default]
    Greater,
    /// For each participant, whether nobody's value is greater: three matrices, one above the other.
    Max,
}

/// Rows and columns, each at least 1, and at most [`MATRIX_VALUES_MAX`] values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
}

impl Shape {
    /// Values in a matrix of this shape; `None` when they are none or too many.
    pub fn values(self) -> Option<usize> {
        let values = (self.rows as usize).checked_mul(self.columns as usize)?;
        (1..=MATRIX_VALUES_MAX).contains(&values).then_some(values)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.rows, self.columns)
    }
}

/// Shapes that a computation cannot take. Names shapes only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// No rows, no columns, or too many values.
    #[error("a matrix of {0} has no values or more than {MATRIX_VALUES_MAX}")]
    Size(Shape),
    /// Two participants' matrices do not fit.
    #[error("{name} of P{left} ({of_left}) and P{right} ({of_right}): {rule}")]
    Unfit {
        /// The computation.
        name: &'static str,
        /// One participant's place.
        left: usize,
        /// Its shape.
        of_left: Shape,
        /// The other's place.
        right: usize,
        /// Its shape.
        of_right: Shape,
        /// What must hold.
        rule: &'static str,
    },
}

impl Operation {
    /// Its name in the API document.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Addition => "Matrix Addition",
            Operation::Multiplication => "Matrix Multiplication",
            Operation::Comparison(_) => "Privacy Comparison",
        }
    }

    /// By its name in any case; a comparison tells what is [`Reveal`]'s default.
    pub fn parse(name: &str) -> Option<Operation> {
        let all = [
            Operation::Addition,
            Operation::Multiplication,
            Operation::Comparison(Reveal::default()),
        ];
        all.into_iter()
            .find(|operation| operation.name().eq_ignore_ascii_case(name))
    }

    /// What its inputs are shared for.
    pub fn domain(self) -> Domain {
        match self {
            Operation::Addition => Domain::Sum,
            Operation::Multiplication => Domain::Product,
            Operation::Comparison(_) => Domain::Bits,
        }
    }

    /// Whether the shapes known so far fit each other and the operation.
    ///
    /// # Errors
    /// Names the first two that do not.
    pub fn check(self, shapes: [Option<Shape>; 3]) -> Result<(), ShapeError> {
        for shape in shapes.into_iter().flatten() {
            shape.values().ok_or(ShapeError::Size(shape))?;
        }
        let pairs: &[(usize, usize)] = match self {
            Operation::Addition | Operation::Comparison(Reveal::Max) => &[(0, 1), (0, 2), (1, 2)],
            Operation::Multiplication => &[(0, 1), (1, 2)],
            Operation::Comparison(Reveal::Greater) => &[(0, 1)],
        };
        for &(left, right) in pairs {
            let (Some(of_left), Some(of_right)) = (shapes[left], shapes[right]) else {
                continue;
            };
            let (fits, rule) = match self {
                Operation::Addition | Operation::Comparison(_) => {
                    (of_left == of_right, "both must have one shape")
                }
                Operation::Multiplication => (
                    of_left.columns == of_right.rows,
                    "the columns of the first must be as many as the rows of the second",
                ),
            };
            if !fits {
                return Err(ShapeError::Unfit {
                    name: self.name(),
                    left,
                    of_left,
                    right,
                    of_right,
                    rule,
                });
            }
        }
        if let (Operation::Multiplication, [Some(p0), p1, p2]) = (self, shapes) {
            for last in [p1, p2].into_iter().flatten() {
                let product = Shape {
                    rows: p0.rows,
                    columns: last.columns,
                };
                product.values().ok_or(ShapeError::Size(product))?;
            }
        }
        Ok(())
    }

    /// The shape of the result.
    ///
    /// # Errors
    /// As [`Operation::check`].
    pub fn result(self, shapes: [Shape; 3]) -> Result<Shape, ShapeError> {
        self.check(shapes.map(Some))?;
        Ok(match self {
            Operation::Addition | Operation::Comparison(Reveal::Greater) => shapes[0],
            Operation::Multiplication => Shape {
                rows: shapes[0].rows,
                columns: shapes[2].columns,
            },
            Operation::Comparison(Reveal::Max) => Shape {
                rows: 3 * shapes[0].rows,
                ..shapes[0]
            },
        })
    }
}

/// What is learned from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learner {
    /// Classifies by a tree of questions.
    DecisionTree,
    /// Classifies by a linear model of the classes' log odds.
    LogisticRegression,
    /// Classifies by support vectors under a radial kernel.
    Svm,
    /// Clusters by a tree of clustering features.
    Birch,
    /// Clusters around means.
    KMeans,
    /// Clusters by the eigenvectors of a similarity graph.
    Spectral,
}

impl Learner {
    /// All of them.
    pub const ALL: [Learner; 6] = [
        Learner::DecisionTree,
        Learner::LogisticRegression,
        Learner::Svm,
        Learner::Birch,
        Learner::KMeans,
        Learner::Spectral,
    ];

    /// Its name in the API document.
    pub fn name(self) -> &'static str {
        match self {
            Learner::DecisionTree => "Decision Tree",
            Learner::LogisticRegression => "Logistic Regression",
            Learner::Svm => "SVM",
            Learner::Birch => "Birch Clustering",
            Learner::KMeans => "K-Means Clustering",
            Learner::Spectral => "Spectral Clustering",
        }
    }

    /// By its name, or another that is in use, in any case.
    pub fn parse(name: &str) -> Option<Learner> {
        let also = match name.to_ascii_lowercase().as_str() {
            "k-means" | "kmeans" => Some(Learner::KMeans),
            _ => None,
        };
        let named = |learner: &Learner| learner.name().eq_ignore_ascii_case(name);
        Learner::ALL.into_iter().find(named).or(also)
    }

    /// Whether it learns classes that a target file gives; others find their own.
    pub fn classifies(self) -> bool {
        match self {
            Learner::DecisionTree | Learner::LogisticRegression | Learner::Svm => true,
            Learner::Birch | Learner::KMeans | Learner::Spectral => false,
        }
    }
}

/// A file of a learning job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Uploaded: what is learned from.
    Feature,
    /// Uploaded: the class of each of its rows.
    Target,
    /// Uploaded: rows to classify.
    Testing,
    /// Made: rows with their classes or clusters.
    Result,
    /// Made: what was learned, as JSON.
    Model,
}

impl FileKind {
    /// The word of the table and of addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            FileKind::Feature => "feature",
            FileKind::Target => "target",
            FileKind::Testing => "testing",
            FileKind::Result => "result",
            FileKind::Model => "model",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(rows: u32, columns: u32) -> Shape {
        Shape { rows, columns }
    }

    #[test]
    fn computations_are_named_as_in_the_document_in_any_case() {
        for name in ["Matrix Addition", "matrix addition", "MATRIX ADDITION"] {
            assert_eq!(Operation::parse(name), Some(Operation::Addition));
        }
        let compared = Operation::parse("privacy comparison");
        assert_eq!(compared, Some(Operation::Comparison(Reveal::Greater)));
        for learner in Learner::ALL {
            let name = learner.name().to_uppercase();
            assert_eq!(Learner::parse(&name), Some(learner));
        }
        assert_eq!(Learner::parse("KMeans"), Some(Learner::KMeans));
        assert_eq!(Learner::parse("k-means"), Some(Learner::KMeans));
        for name in ["", "Matrix", "svm ", "addition"] {
            assert_eq!((Operation::parse(name), Learner::parse(name)), (None, None));
        }
    }

    #[test]
    fn shapes_are_checked_as_soon_as_two_are_known() {
        let one = Some(shape(1, 3));
        let product = Operation::Multiplication;
        assert!(product.check([one, one, None]).is_err());
        assert!(product.check([one, None, one]).is_ok());
        assert!(product.check([one, Some(shape(3, 2)), None]).is_ok());
        let sum = Operation::Addition;
        assert!(sum.check([one, None, Some(shape(3, 1))]).is_err());
        let greater = Operation::Comparison(Reveal::Greater);
        assert!(greater.check([one, one, Some(shape(7, 7))]).is_ok());
        let max = Operation::Comparison(Reveal::Max);
        assert!(max.check([one, one, Some(shape(7, 7))]).is_err());
        let error = sum.check([one, Some(shape(2, 3)), None]).unwrap_err();
        let said = "Matrix Addition of P0 (1 x 3) and P1 (2 x 3): both must have one shape";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn a_product_may_not_outgrow_the_bound_anywhere() {
        let (column, row) = (shape(30_000, 1), shape(1, 30_000));
        let product = Operation::Multiplication;
        let refused = product.check([Some(column), Some(row), None]);
        assert!(matches!(refused, Err(ShapeError::Size(_))));
        assert_eq!(product.result([row, column, row]), Ok(row));
        for empty in [shape(0, 1), shape(1, 0), shape(u32::MAX, u32::MAX)] {
            assert_eq!(empty.values(), None);
        }
    }
}
