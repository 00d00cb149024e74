/* A control loop in plain C: a policy that `trpo-fast export cartpole --format c --out pole.c` wrote balances a pole.

     cc -std=c99 -O2 balance.c pole.c -lm -o balance && ./balance

   Cart and pole are simulated with the equations of Gymnasium's CartPole-v1; a board has sensors, motors and a timer
   instead. Nothing here allocates, and the policy's numbers are constants. */
#include <math.h>
#include <stdio.h>

#include "pole.h"

#define PERIOD 0.02f /* seconds */

struct cart_pole {
  float position, velocity, angle, angular_velocity;
};

/* Simulates one period with the cart pushed to the left or to the right. */
static void step(struct cart_pole* system, int to_the_right) {
  const float force = to_the_right ? 10.0f : -10.0f;
  const float sine = sinf(system->angle), cosine = cosf(system->angle);
  const float push = (force + 0.05f * system->angular_velocity * system->angular_velocity * sine) / 1.1f;
  const float angular_acceleration =
      (9.8f * sine - cosine * push) / (0.5f * (4.0f / 3.0f - 0.1f * cosine * cosine / 1.1f));
  const float acceleration = push - 0.05f * angular_acceleration * cosine / 1.1f;
  system->position += PERIOD * system->velocity;
  system->velocity += PERIOD * acceleration;
  system->angle += PERIOD * system->angular_velocity;
  system->angular_velocity += PERIOD * angular_acceleration;
}

int main(void) {
  struct cart_pole system = {0.0f, 0.0f, 0.05f, 0.0f};
  float action[POLE_ACTION_SIZE] = {0.0f}; /* the last one is held when a sensor fails */
  int tick;
  for (tick = 0; tick < 500 && fabsf(system.angle) < 0.2095f && fabsf(system.position) < 2.4f; ++tick) {
    const float observation[POLE_OBSERVATION_SIZE] = {system.position, system.velocity, system.angle,
                                                      system.angular_velocity};
    const int status = pole_act(observation, action); /* 0, or the action is unchanged */
    if (status != 0) printf("status %d in tick %d\n", status, tick);
    step(&system, action[0] == 1.0f);
    /* here a board waits for its timer */
  }
  printf("upright for %d of 500 ticks\n", tick);
  return tick < 500;
}
