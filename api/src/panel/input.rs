//! A participant's input on its way from the body to three sealed parts: in memory that is wiped,
//! and never in a message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use shared::computation::{Operation, Shape};
use shared::decimal::Matrix;
use shared::job::ComputeSpec;
use shared::message::decode;
use shared::seal::SealPublic;
use shared::sharing::{self, Bundle, Domain};
use shared::store::{Fill, InputProtection};
use zeroize::Zeroizing;

use crate::State;
use crate::answer::Error;

/// What an input that was split by its owner begins with.
const SEALED: &str = "concord1:";

/// The value of a field `input`.
pub(crate) enum Input {
    /// JSON of a matrix or a number.
    Plain(Zeroizing<String>),
    /// Split and sealed by its owner.
    Sealed(Bundle),
}

impl Input {
    /// Reads the field's JSON text: a string of JSON, or that JSON itself.
    ///
    /// # Errors
    /// `Error::Invalid`, which says nothing of the value.
    pub(crate) fn read(json: Zeroizing<String>) -> Result<Input, Error> {
        let invalid = |rule: &str| Err(Error::Invalid(format!("`input` must {rule}")));
        let text = match json.as_bytes() {
            [b'"', middle @ .., b'"'] if !middle.contains(&b'\\') => {
                Zeroizing::new(json[1..json.len() - 1].to_owned())
            }
            [b'"', ..] => match serde_json::from_str(&json) {
                Ok(text) => Zeroizing::new(text),
                Err(_) => return invalid("be a JSON string without escapes that mean nothing"),
            },
            [b'[' | b'-' | b'0'..=b'9', ..] => json,
            _ => return invalid("be a matrix or a number: as a JSON string, or as JSON itself"),
        };
        let Some(sealed) = text.strip_prefix(SEALED) else {
            return Ok(Input::Plain(text));
        };
        let bytes = STANDARD.decode(sealed).ok();
        match bytes.and_then(|bytes| decode(&bytes).ok()) {
            Some(bundle) => Ok(Input::Sealed(bundle)),
            None => invalid("be sealed by `concord fill`: this text begins so and is none"),
        }
    }
}

/// Makes an input that of the participant at `position` in one run. What is plain is split and
/// wiped; `client_sealed` says that nobody may show it in the clear.
///
/// # Errors
/// [`Error::Invalid`] naming row, column and rule, never a value; [`Error::Unfit`] for its shape.
pub(crate) fn split(
    state: &State,
    spec: &ComputeSpec,
    position: usize,
    client_sealed: bool,
    input: Input,
) -> Result<Fill, Error> {
    let fill = match input {
        Input::Sealed(bundle) => Fill {
            bundle,
            protection: InputProtection::ClientSealed,
        },
        Input::Plain(_) if client_sealed => {
            return Err(Error::Invalid(
                "`input` must be sealed, as the job's `inputProtection` says: use `concord fill`"
                    .to_owned(),
            ));
        }
        Input::Plain(text) => Fill {
            bundle: bundle(state, spec, position, &text)?,
            protection: InputProtection::ServerSplit,
        },
    };
    let mut shapes = [None; 3];
    shapes[position] = Some(Shape {
        rows: fill.bundle.rows,
        columns: fill.bundle.columns,
    });
    let checked = spec.operation.check(shapes);
    checked.map_err(|error| Error::Unfit(format!("`input` does not fit: {error}")))?;
    Ok(fill)
}

fn bundle(state: &State, spec: &ComputeSpec, position: usize, text: &str) -> Result<Bundle, Error> {
    let domain = match spec.operation {
        Operation::Addition => Domain::Sum,
        Operation::Multiplication => Domain::Product,
        Operation::Comparison(_) => Domain::Bits,
    };
    let matrix = Matrix::parse(text, domain.digits())
        .map_err(|error| Error::Invalid(format!("`input` is refused: {error}")))?;
    let mut readers = [SealPublic([0; 32]); 3];
    for (reader, worker) in readers.iter_mut().zip(&spec.workers) {
        let public = state.directory.get(worker).ok_or_else(|| {
            tracing::error!(%worker, "a worker that the directory does not know");
            Error::Internal
        })?;
        *reader = SealPublic(public.sealing);
    }
    let context = spec.input_context(position);
    let mut secrets = UnwrapErr(SysRng);
    sharing::split(&mut secrets, domain, &context, &matrix, &readers).map_err(|error| {
        tracing::error!(%error, "an input could not be split");
        Error::Internal
    })
}
