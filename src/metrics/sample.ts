/** One series of a metric: the values of its labels by name, and its value now. */
export interface Sample {
  readonly labels: { readonly [name: string]: string };
  readonly value: number;
}
