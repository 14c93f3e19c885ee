namespace Evenkeel.Agent.Diagnostics;

/// <summary>Which names say that their value is a secret.</summary>
internal static class SecretNames
{
    private static readonly string[] words = ["pass", "secret", "token", "key", "credential", "community", "auth", "webhook"];
    private static readonly string[] harmless = ["_file", "-file", "_path", "-path"];

    /// <summary>Rather one too many: a diagnosis seldom needs the value of what is called a key. What names a file names no secret.</summary>
    public static bool Say(string name) =>
        words.Any(word => name.Contains(word, StringComparison.OrdinalIgnoreCase)) && !harmless.Any(end => name.EndsWith(end, StringComparison.OrdinalIgnoreCase));
}
