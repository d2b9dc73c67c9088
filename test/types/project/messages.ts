export interface Answered {
  answered: string;
}
