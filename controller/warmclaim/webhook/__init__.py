"""The conversion webhook: v1alpha1 beside v1beta1, with certificates that renew themselves."""
