using System.ComponentModel;
using System.Diagnostics;
using Evenkeel.Core.Model;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.Fencing;

/// <summary>
/// Runs one stock fence agent (FenceAgentAPI of ClusterLabs): parameters as <c>name=value</c> lines on standard input, none as
/// arguments, where every user of the machine could read them; always an action, for most agents' default is to reboot.
/// </summary>
/// <param name="node">The node to be fenced, told as <c>nodename</c>.</param>
internal sealed class FenceAgent(FenceSpec spec, string node)
{
    private const int MostOutput = 64 * 1024;
    private const string PasswordFile = "password_file";
    private static readonly string[] s_directories = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"];

    /// <summary>A bare name is looked for where distributions install fence agents; a path is taken as it is.</summary>
    public static string? Locate(string agent) => agent.Contains('/', StringComparison.Ordinal)
        ? File.Exists(agent) ? agent : null
        : s_directories.Select(directory => Path.Combine(directory, agent)).FirstOrDefault(File.Exists);

    public async Task<FenceAnswer> RunAsync(string action, CancellationToken cancellation)
    {
        if (Locate(spec.Agent) is not { } program)
        {
            return new FenceAnswer(action, null, "", $"{spec.Agent} is not installed here (Debian's package is fence-agents)");
        }

        string input, secret;
        try
        {
            (input, secret) = Input(action);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new FenceAnswer(action, null, "", $"its {PasswordFile}: {exception.Message}");
        }

        try
        {
            var answer = await RunAsync(program, action, input, cancellation).ConfigureAwait(false);
            return secret.Length == 0 ? answer : answer with { Output = Hide(answer.Output, secret), Reason = Hide(answer.Reason, secret) };
        }
        catch (Exception exception) when (exception is Win32Exception or IOException)
        {
            return new FenceAnswer(action, null, "", $"{program}: {exception.Message}");
        }
    }

    private async Task<FenceAnswer> RunAsync(string program, string action, string input, CancellationToken cancellation)
    {
        var end = await ChildRun.RunAsync(new ProcessStartInfo(program), spec.TimeLimit, cancellation, input).ConfigureAwait(false);
        if (end.ExitCode is not { } code)
        {
            return new FenceAnswer(action, null, "", $"no answer within {spec.TimeLimit.TotalSeconds:0.###} s");
        }

        var (said, complained) = (Cut(end.Output), Cut(end.Errors));
        var failed = code != 0 && !(action == "status" && code == 2);
        return new FenceAnswer(action, code, said, failed ? $"exit code {code}{Last(complained, said)}" : "");
    }

    // The password is read at each use, so that it can be changed, and is nowhere but in the agent's input.
    private (string Input, string Secret) Input(string action)
    {
        var parameters = spec.Parameters.Where(pair => pair.Key is not ("action" or "option" or PasswordFile)).ToDictionary(StringComparer.Ordinal);
        var secret = "";
        if (spec.Parameters.TryGetValue(PasswordFile, out var file))
        {
            parameters["password"] = secret = File.ReadAllText(file).TrimEnd('\r', '\n');
        }
        else if (parameters.TryGetValue("password", out var given) || parameters.TryGetValue("passwd", out given))
        {
            secret = given;
        }

        parameters.TryAdd("nodename", node);
        return ($"action={action}\n" + string.Concat(parameters.Select(pair => $"{pair.Key}={pair.Value.ReplaceLineEndings(" ")}\n")), secret);
    }

    private static string Last(string errors, string output) =>
        (errors.Length > 0 ? errors : output).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is [.., var last] ? ": " + last : "";

    private static string Cut(string text) => text.Length <= MostOutput ? text : text[^MostOutput..];
    private static string Hide(string text, string secret) => text.Replace(secret, "***", StringComparison.Ordinal);
}
