"""The roll-out in the gateway: who is asked by which cohort, what each cohort was answered, and the shadow."""
