"""String tasks: reorder, repeat or find symbols without changing them."""
