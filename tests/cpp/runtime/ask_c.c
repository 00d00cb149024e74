/* Observations on standard input, statuses and actions of an exported policy.c on standard output. With an
   argument it exits with the number of golden vectors that fail, instead. */
#include <stdio.h>

#define POLICY_NO_MAIN
#include "policy_test.c"

int main(int argc, char** argv) {
  float observation[POLICY_OBSERVATION_SIZE], action[POLICY_ACTION_SIZE] = {0};
  (void)argv;
  if (argc > 1) return policy_self_test();
  while (fread(observation, sizeof observation, 1, stdin) == 1) {
    const int status = policy_act(observation, action);
    fwrite(&status, sizeof status, 1, stdout);
    fwrite(action, sizeof action, 1, stdout);
  }
  return 0;
}
