// Where regions are: a name for people, and a place on the map.

const PLACES = {
  "us-east-1": ["N. Virginia", -77, 39], "us-east-2": ["Ohio", -83, 40], "us-west-1": ["N. California", -121, 37],
  "us-west-2": ["Oregon", -120, 45], "ca-central-1": ["Canada", -73, 45], "sa-east-1": ["São Paulo", -46, -23],
  "eu-west-1": ["Ireland", -8, 53], "eu-west-2": ["London", 0, 51], "eu-west-3": ["Paris", 2, 48],
  "eu-central-1": ["Frankfurt", 8, 50], "eu-north-1": ["Stockholm", 18, 59], "eu-south-1": ["Milan", 9, 45],
  "ap-south-1": ["Mumbai", 73, 19], "ap-southeast-1": ["Singapore", 104, 1], "ap-southeast-2": ["Sydney", 151, -33],
  "ap-northeast-1": ["Tokyo", 139, 35], "ap-northeast-2": ["Seoul", 127, 37], "ap-northeast-3": ["Osaka", 135, 34],
  "af-south-1": ["Cape Town", 18, -34], "me-south-1": ["Bahrain", 50, 26],
};

export function cityOf(region) {
  return PLACES[region]?.[0] ?? "";
}

/** Places for regions in a box: as on a map where that keeps them apart, else on a circle. */
export function placesIn(regions, width, height) {
  const known = regions.map((region) => PLACES[region]);
  const side = Math.min(90, width * 0.17);
  const box = { left: side, right: width - side, top: 76, bottom: height - 76 };
  if (known.every(Boolean)) {
    const spread = (values, low, high) => {
      const [least, most] = [Math.min(...values), Math.max(...values)];
      return values.map((value) => (most === least ? (low + high) / 2 : low + ((value - least) / (most - least)) * (high - low)));
    };
    const x = spread(known.map((one) => one[1]), box.left, box.right);
    const y = spread(known.map((one) => -one[2]), box.top, box.bottom);
    const apart = x.every((_, a) => x.every((__, b) => a === b || Math.hypot(x[a] - x[b], y[a] - y[b]) > 90));
    if (apart) return regions.map((_, n) => ({ x: x[n], y: y[n] }));
  }
  return regions.map((_, n) => {
    const angle = -Math.PI / 2 + (2 * Math.PI * n) / regions.length;
    return {
      x: (box.left + box.right) / 2 + (Math.cos(angle) * (box.right - box.left)) / 2,
      y: (box.top + box.bottom) / 2 + (Math.sin(angle) * (box.bottom - box.top)) / 2,
    };
  });
}
