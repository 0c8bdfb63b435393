"""Why a code differs: rules of the arithmetic (`cause`), and the evaluators that lead from one to the next."""
