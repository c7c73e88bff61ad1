import type { Deployment } from './catalog.js';

/**
 * The order in which deployments are tried: by priority, the highest first; among equals drawn by weight, so that each
 * gets its share of the traffic and all are tried before a request fails. A deployment of weight 0 comes last.
 */
export function orderDeployments(
  deployments: readonly Deployment[],
  random: () => number = Math.random,
): readonly Deployment[] {
  if (deployments.length < 2) return deployments;
  // Efraimidis and Spirakis (2006): sorting by u^(1/w) draws without replacement in proportion to the weights.
  const drawn = deployments.map((deployment) => ({
    deployment,
    draw: deployment.weight === 0 ? -1 : random() ** (1 / deployment.weight),
  }));
  drawn.sort((a, b) => b.deployment.priority - a.deployment.priority || b.draw - a.draw);
  return drawn.map(({ deployment }) => deployment);
}
