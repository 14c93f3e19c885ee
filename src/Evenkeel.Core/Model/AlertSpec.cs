namespace Evenkeel.Core.Model;

/// <summary>How bad something is for clients.</summary>
public enum Concern
{
    /// <summary>Clients are served and nothing is lost, but someone should know.</summary>
    Note,
    /// <summary>Clients are served, with less redundancy than declared.</summary>
    Degraded,
    /// <summary>Something that clients need is not there.</summary>
    Down,
}

/// <summary>Somebody who is told when something is the matter, and when it is over: a webhook or a command.</summary>
public sealed record AlertReceiverSpec
{
    public required string Name { get; init; }
    /// <summary>POSTed to; null for a command.</summary>
    public Uri? Webhook { get; init; }
    public IReadOnlyDictionary<string, string> Headers { get; set; } = new Dictionary<string, string>();
    /// <summary>A file on each node with the key that signs each message (Standard Webhooks), or null.</summary>
    public string? SecretFile { get; init; }
    /// <summary>A file on each node with the value of the Authorization header, or null.</summary>
    public string? AuthorizationFile { get; init; }
    /// <summary>Run with the message on its standard input; null for a webhook.</summary>
    public IReadOnlyList<string>? Command { get; init; }
    /// <summary>The mildest that it is told of.</summary>
    public Concern From { get; set; } = Concern.Degraded;
    /// <summary>What is over sooner is not told.</summary>
    public TimeSpan After { get; set; } = TimeSpan.FromSeconds(5);
    /// <summary>Whether it is told that something is over.</summary>
    public bool Resolved { get; set; } = true;
    /// <summary>Time between two reminders while something stays so; null: none.</summary>
    public TimeSpan? Repeat { get; init; }
    /// <summary>A delivery that takes longer has failed, and is tried again.</summary>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromSeconds(10);
}
