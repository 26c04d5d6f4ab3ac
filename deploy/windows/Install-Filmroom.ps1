<#
.SYNOPSIS
  Filmroom as a Windows service: firewall rule, Start-menu entries, uninstall.

  *** UNTRIED. *** Written on Linux, where no Windows was at hand: read it before you run it, and tell what it did.
  The rest of FWD-5 (systemd, container) is tried; this file is not, and nothing else depends on it.

.DESCRIPTION
  Windows wants a service to answer its Service Control Manager, which a Python program does not. A small host of some
  forty lines of C# is compiled here by Windows PowerShell 5.1 itself; it starts the filmroom command, starts it again when
  it fails, and ends it when the service stops. It runs as the virtual account NT SERVICE\<name>, which may write to the
  data folder and nowhere else. What was acknowledged is on the disk before it is acknowledged, so a hard end loses nothing.

.EXAMPLE
  .\Install-Filmroom.ps1 -Program C:\Filmroom\Scripts\filmroom.exe -Forwarder C:\Filmroom\forwarder.json -Boot -Firewall
  .\Install-Filmroom.ps1 -Uninstall            # the data stay
  .\Install-Filmroom.ps1 -Uninstall -Purge     # the data go too
  .\Install-Filmroom.ps1 -Status
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
  [string] $Program = "$env:ProgramFiles\Filmroom\Scripts\filmroom.exe",
  [string] $Forwarder = '',
  [string] $Data = "$env:ProgramData\Filmroom",
  [string] $Name = 'Filmroom',
  [string] $Address = 'http://127.0.0.1:8000/',
  [switch] $Boot,
  [switch] $Firewall,
  [switch] $Uninstall,
  [switch] $Purge,
  [switch] $Status
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$ServiceHost = Join-Path $Data 'host\FilmroomService.exe'
$Menu = Join-Path $env:ProgramData 'Microsoft\Windows\Start Menu\Programs\Filmroom'
$Rule = "Filmroom DICOM ($Name)"

$Source = @'
using System;
using System.Configuration.Install;
using System.Diagnostics;
using System.ServiceProcess;
using System.Threading;

public class FilmroomService : ServiceBase {
  private readonly string program, arguments;
  private volatile bool stopping;
  private Process child;
  private Thread keeper;

  public FilmroomService(string name, string program, string arguments) {
    ServiceName = name; this.program = program; this.arguments = arguments;
  }
  protected override void OnStart(string[] ignored) {
    keeper = new Thread(Keep); keeper.IsBackground = true; keeper.Start();
  }
  private void Keep() {
    while (!stopping) {
      var how = new ProcessStartInfo(program, arguments) { UseShellExecute = false, CreateNoWindow = true };
      try { child = Process.Start(how); child.WaitForExit(); }
      catch (Exception fault) { EventLog.WriteEntry("Filmroom cannot be started: " + fault.Message, EventLogEntryType.Error); }
      if (!stopping) { EventLog.WriteEntry("Filmroom has ended and is started again.", EventLogEntryType.Warning); Thread.Sleep(2000); }
    }
  }
  protected override void OnStop() {
    stopping = true;
    var running = child;
    if (running == null || running.HasExited) return;
    // with its roles, which are processes of their own
    var ending = Process.Start(new ProcessStartInfo("taskkill.exe", "/PID " + running.Id + " /T /F") { UseShellExecute = false, CreateNoWindow = true });
    ending.WaitForExit(10000);
  }
  public static void Main(string[] given) {
    // name, program, then the rest as the program's own arguments
    var rest = new string[Math.Max(0, given.Length - 2)];
    for (int n = 2; n < given.Length; n++) rest[n - 2] = "\"" + given[n] + "\"";
    Run(new FilmroomService(given[0], given[1], string.Join(" ", rest)));
  }
}
'@

function Test-Administrator {
  $me = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
  $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

function Get-Arguments {
  $found = @('serve', '--data', $Data)
  if ($Forwarder) { $found += @('--headless', '--config', (Join-Path $Data 'forwarder.json')) }
  $found
}

function New-Shortcut([string] $Title, [string] $Target, [string] $Arguments = '') {
  $link = (New-Object -ComObject WScript.Shell).CreateShortcut((Join-Path $Menu "$Title.lnk"))
  $link.TargetPath = $Target
  $link.Arguments = $Arguments
  $link.Save()
}

function Install-It {
  if (-not (Test-Path $Program)) { throw "$Program is not there. Install the wheel into a virtual environment first, and name its filmroom.exe by -Program." }
  if (Get-Service -Name $Name -ErrorAction SilentlyContinue) { throw "A service $Name is there already. Uninstall it first." }
  New-Item -ItemType Directory -Force -Path (Split-Path $ServiceHost), $Menu | Out-Null
  if ($Forwarder) {
    & $Program config --data $Data --config $Forwarder | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "$Forwarder is not right; the reason stands above." }
    Copy-Item -Force $Forwarder (Join-Path $Data 'forwarder.json')
  }
  $options = @('config', '--data', $Data)
  if ($Forwarder) { $options += @('--config', $Forwarder) }
  $port = ((& $Program @options) -match '^dicom_port = ') -replace '^dicom_port = ', ''

  Add-Type -TypeDefinition $Source -OutputAssembly $ServiceHost -OutputType ConsoleApplication `
    -ReferencedAssemblies System, System.ServiceProcess, System.Configuration.Install

  $quoted = (@($ServiceHost, $Name, $Program) + (Get-Arguments) | ForEach-Object { '"' + $_ + '"' }) -join ' '
  $start = if ($Boot) { 'Automatic' } else { 'Manual' }
  New-Service -Name $Name -BinaryPathName $quoted -DisplayName 'Filmroom' -StartupType $start `
    -Description 'DICOM store and forward, archive and print station' | Out-Null
  # an account of its own with least rights, and again after a failure
  & sc.exe config $Name obj= "NT SERVICE\$Name" password= '""' | Out-Null
  & sc.exe sidtype $Name unrestricted | Out-Null
  & sc.exe failure $Name reset= 86400 actions= restart/2000/restart/5000/restart/30000 | Out-Null
  & icacls.exe $Data /inheritance:r /grant:r "NT SERVICE\${Name}:(OI)(CI)M" 'BUILTIN\Administrators:(OI)(CI)F' 'NT AUTHORITY\SYSTEM:(OI)(CI)F' | Out-Null

  if ($Firewall) {
    New-NetFirewallRule -DisplayName $Rule -Direction Inbound -Protocol TCP -LocalPort $port -Action Allow -Profile Domain, Private | Out-Null
  }
  New-Shortcut 'Open Filmroom' "$env:SystemRoot\explorer.exe" $Address
  New-Shortcut 'Set-up' "$env:SystemRoot\explorer.exe" ($Address + 'settings/forwarder')
  New-Shortcut 'Start' "$env:SystemRoot\System32\sc.exe" "start $Name"
  New-Shortcut 'Stop' "$env:SystemRoot\System32\sc.exe" "stop $Name"
  New-Shortcut 'Logs' "$env:SystemRoot\explorer.exe" (Join-Path $Data 'logs')
  Start-Service -Name $Name
  Write-Output "Filmroom is installed as the service $Name and listens on port $port."
}

function Uninstall-It {
  if (Get-Service -Name $Name -ErrorAction SilentlyContinue) {
    Stop-Service -Name $Name -ErrorAction SilentlyContinue
    & sc.exe delete $Name | Out-Null
  }
  Get-NetFirewallRule -DisplayName $Rule -ErrorAction SilentlyContinue | Remove-NetFirewallRule
  if (Test-Path $Menu) { Remove-Item -Recurse -Force $Menu }
  if (Test-Path (Split-Path $ServiceHost)) { Remove-Item -Recurse -Force (Split-Path $ServiceHost) }
  if ($Purge) {
    if ((Test-Path $Data) -and $PSCmdlet.ShouldProcess($Data, 'remove all data')) { Remove-Item -Recurse -Force $Data }
    Write-Output 'Removed, with all data.'
  } else {
    Write-Output "Removed. The data stay in $Data."
  }
}

if ($Status) {
  Get-Service -Name $Name | Format-List Name, Status, StartType
  & $Program status --data $Data
  exit $LASTEXITCODE
}
if (-not (Test-Administrator)) { throw 'Start this in a PowerShell that runs as administrator.' }
if ($Uninstall) { Uninstall-It } else { Install-It }
