namespace Evenkeel.Services.Systemd;

/// <summary>How a <c>systemctl</c> call ended.</summary>
internal sealed record SystemctlRun(int ExitCode, string Output, string Errors)
{
    public bool Succeeded => ExitCode == 0;

    /// <summary>Its own words, on one line.</summary>
    public string Reason => (Errors.Length > 0 ? Errors : Output).Trim().ReplaceLineEndings(" ") is { Length: > 0 } text ? text : $"exit code {ExitCode}";
}
