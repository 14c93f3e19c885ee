namespace Evenkeel.Agent.Configuration;

public enum Severity { Warning, Error }

/// <summary>One thing that is wrong (or doubtful) in a configuration file: where, what, and how to mend it.</summary>
/// <param name="Severity">An error keeps the file from being used; a warning does not.</param>
/// <param name="File">As the user named it.</param>
/// <param name="Line">1-based.</param>
/// <param name="Column">1-based.</param>
/// <param name="Path">Of the key, such as <c>services.web.publish[0].port</c>; empty for the whole file.</param>
/// <param name="Message">What is wrong.</param>
/// <param name="Mend">What to write instead, or what to do.</param>
public sealed record Diagnostic(Severity Severity, string File, int Line, int Column, string Path, string Message, string Mend)
{
    /// <summary>In the form that compilers use, so that editors can jump to it.</summary>
    public override string ToString() =>
        $"{File}:{Line}:{Column}: {(Severity == Severity.Error ? "error" : "warning")}: {(Path.Length == 0 ? "" : Path + ": ")}{Message}. {Mend}{(Mend.EndsWith('?') ? "" : ".")}";
}
