namespace Evenkeel.Services.Fencing;

/// <summary>What became of an attempt to cut a node off.</summary>
/// <param name="Confirmed">A device has done it and has said so when asked again: the node can no longer act.</param>
/// <param name="Reason">Why not, device by device; or which device did it.</param>
public sealed record FenceResult(bool Confirmed, string Reason);
