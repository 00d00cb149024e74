/* Observations on standard input, statuses and actions of an exported policy.c on standard output. */
#include <stdio.h>

#include "policy.h"

int main(void) {
  float observation[POLICY_OBSERVATION_SIZE], action[POLICY_ACTION_SIZE] = {0};
  while (fread(observation, sizeof observation, 1, stdin) == 1) {
    const int status = policy_act(observation, action);
    fwrite(&status, sizeof status, 1, stdout);
    fwrite(action, sizeof action, 1, stdout);
  }
  return 0;
}
