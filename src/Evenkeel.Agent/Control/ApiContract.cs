using Evenkeel.Agent.Api;

namespace Evenkeel.Agent.Control;

/// <param name="Name">1 to 63 of a-z, 0-9 and '-', beginning with a letter; none of this name may be there.</param>
/// <param name="Lifetime">More than nothing, at most ten years.</param>
public sealed record ApiTokenOrder(string Name, ApiRole Role, TimeSpan Lifetime);

/// <param name="Token">Shown this once: it is kept nowhere.</param>
public sealed record NewApiToken(string Name, ApiRole Role, string Token, DateTimeOffset Ends);

public sealed record ApiTokenEntry(string Name, ApiRole Role, DateTimeOffset Created, DateTimeOffset Ends, string By);

public sealed record ApiTokenList(IReadOnlyList<ApiTokenEntry> Tokens);
