"""The MT-Bench family: two turns a question, answers rated by a judge, FastChat's forms and those of its forks."""
