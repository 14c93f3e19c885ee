namespace Evenkeel.Core.Model;

/// <summary>A client stays with its instance, while that is well, by a cookie that the balancer sets.</summary>
/// <param name="Cookie">Its name.</param>
/// <param name="For">How long the client keeps it; null: until the browser is closed.</param>
public sealed record StickySpec(string Cookie, TimeSpan? For);
