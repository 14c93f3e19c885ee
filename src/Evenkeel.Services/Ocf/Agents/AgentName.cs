namespace Evenkeel.Services.Ocf.Agents;

/// <summary>Where a resource agent is: <c>provider:type</c> is the file <c>ROOT/resource.d/PROVIDER/TYPE</c>.</summary>
public sealed record AgentName(string Provider, string Type)
{
    /// <summary>Where distributions install the agents; OCF_ROOT of the agent API.</summary>
    public const string StandardRoot = "/usr/lib/ocf";

    /// <summary>Of <c>provider:type</c> or <c>ocf:provider:type</c>; null when the text is neither.</summary>
    public static AgentName? Parse(string text)
    {
        var parts = text.Split(':');
        if (parts is ["ocf", _, _]) parts = parts[1..];
        return parts is [{ Length: > 0 } provider, { Length: > 0 } type] && IsName(provider) && IsName(type) ? new AgentName(provider, type) : null;
    }

    public string PathUnder(string root) => Path.Combine(root, "resource.d", Provider, Type);

    public override string ToString() => $"{Provider}:{Type}";

    // A file's name, never a path.
    private static bool IsName(string text) => text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') && text is not ("." or "..");
}
